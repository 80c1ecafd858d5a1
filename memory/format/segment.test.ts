import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { memoryKey } from './keys.ts';
import { nameHash, parseSegmentKey, segmentKey } from './layout.ts';
import { formatOperation, parseOperation, type Operation } from './operation.ts';
import { FIRST_PREV_SHA, openSegment, readOperations, sealSegment, verifySegment } from './segment.ts';
import { generateNodeKey, parsePublicKey } from './signing.ts';

const CID = 'a'.repeat(16);
const { key } = generateNodeKey();
const publicKey = parsePublicKey(key.publicKey);
const set = { created_at_epoch: 5, type: 'discovery', title: 'A title', narrative: null, facts: '[]' };
const operation: Operation = {
  type: 'full',
  kind: 'observation',
  key: memoryKey('observation', set, null),
  ordinal: 0,
  version: { counter: 1, hlc: 1_024, node: 'a' },
  of: { platform: 'claude', session: 's' },
  mem: null,
  set,
  extra: null,
  written: new Map(),
};
const place = {
  space: CID,
  node: 'a',
  epoch: 'e1',
  seq: 1,
  prevSha: FIRST_PREV_SHA,
  schema: 'claude-mem 13.25',
};
const sealed = sealSegment(place, [formatOperation(operation)], key);
const name = { node: 'a', epoch: 'e1', seq: 1, hash: nameHash(sealed.sha) };

it('returns the operations that were sealed', () => {
  const opened = openSegment(sealed.bytes, name);
  expect(opened).toMatchObject({ header: sealed.header });
  expect(() => verifySegment(opened, CID, publicKey)).not.toThrow();
  const [read] = readOperations(sealed.bytes).operations;
  expect(read?.key).toEqual(operation.key);
  expect(read).toMatchObject({ set: { title: 'A title' } });
});

it('has the same bytes for the same operations, so that a retry overwrites the object with itself', () => {
  expect(sealSegment(place, [formatOperation(operation)], key).bytes.equals(sealed.bytes)).toBe(true);
});

it('refuses a segment with any one bit flipped', () => {
  for (let at = 0; at < sealed.bytes.length; at += 7) {
    const bent = Buffer.from(sealed.bytes);
    bent[at] = (bent[at] ?? 0) ^ 1;
    expect(() => verifySegment(openSegment(bent, name), CID, publicKey)).toThrow();
  }
});

it('refuses a segment of another place, node or key', () => {
  const other = generateNodeKey().key;
  const elsewhere = sealSegment({ ...place, seq: 2 }, [formatOperation(operation)], key);
  const asFirst = { ...name, hash: nameHash(elsewhere.sha) };
  expect(() => verifySegment(openSegment(elsewhere.bytes, asFirst), CID, publicKey)).toThrow(
    /another position/,
  );
  expect(() => verifySegment(openSegment(sealed.bytes, name), 'b'.repeat(16), publicKey)).toThrow(
    /another position/,
  );
  expect(() => verifySegment(openSegment(sealed.bytes, name), CID, parsePublicKey(other.publicKey))).toThrow(
    /signature/,
  );
});

it('refuses an operation that carries another row than its key names', () => {
  const forged = { ...operation, set: { ...set, title: 'Another title' } };
  expect(() => parseOperation(formatOperation(forged))).toThrow(/not the key/);
});

it('refuses a truncated object and noise', () => {
  expect(() => verifySegment(openSegment(sealed.bytes.subarray(0, 40), name), CID, publicKey)).toThrow();
  expect(() => verifySegment(openSegment(randomBytes(500), name), CID, publicKey)).toThrow();
});

it('has a name that parses back, and nothing else is taken for a segment', () => {
  expect(parseSegmentKey(CID, segmentKey(CID, name))).toEqual(name);
  expect(parseSegmentKey(CID, `projects/${CID}/memory/v1/seg/a/e1/1-short.mbs`)).toBeNull();
  expect(parseSegmentKey('b'.repeat(16), segmentKey(CID, name))).toBeNull();
});
