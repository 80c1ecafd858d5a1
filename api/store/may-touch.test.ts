import { describe, expect, test } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { leaseAuditKey, leaseKey } from '../../contract/memory/leadership.ts';
import {
  acksPrefix,
  ackKey,
  certificateKey,
  certificatesPrefix,
  headKey,
  headPrefix,
  manifestKey,
  memoryPrefix,
  segmentKey,
  segmentPrefix,
  segmentsPrefix,
  snapshotPartKey,
  snapshotsPrefix,
  spaceKey,
} from '../../memory/format/layout.ts';
import { legacyKeys } from '../../memory/legacy/objects.ts';
import { blobKey } from '../../storage/blobs.ts';
import { maxBytes, mayList, mayTouch, type StoreFacts, type StoreRequest } from './may-touch.ts';

const OWN = canonicalId('own');
const LED = canonicalId('led');
const FOREIGN = canonicalId('foreign');
const NAMED = 'a'.repeat(64);
const UNNAMED = 'b'.repeat(64);

const idle: StoreFacts = {
  node: 'me',
  spaces: new Set([OWN, LED]),
  primaryOf: new Map([[LED, 4]]),
  outputBytes: 0,
  namedBlobs: new Set(),
};
const working: StoreFacts = { ...idle, outputBytes: 1_000, namedBlobs: new Set([NAMED]) };

const hash = '0123456789abcdef0123456789abcdef';
const segment = (cid: string, node: string): string => segmentKey(cid, { node, epoch: '1abc', seq: 7, hash });
const snapshot = (node: string) => ({ node, id: `0123456789ab-${hash.slice(0, 16)}` });
const part = (cid: string, node: string): string => snapshotPartKey(cid, snapshot(node), 1);
const manifest = (cid: string, node: string): string => manifestKey(cid, snapshot(node));
const mirror = (cid: string) => legacyKeys(cid);

/** Applies the rule to GET, PUT and DELETE of a key: `y` allowed, `n` forbidden, `?` no valid key. */
function verdicts(facts: StoreFacts, key: string, epoch: number | null = null): string {
  const methods: StoreRequest['method'][] = ['GET', 'PUT', 'DELETE'];
  return methods
    .map((method) => mayTouch(facts, { method, key, epoch }))
    .map((verdict) => (verdict.allowed ? 'y' : verdict.code === 'forbidden' ? 'n' : '?'))
    .join('');
}

describe('the rule for objects', () => {
  test.each([
    // The description and the lease of a space belong to the control plane.
    [spaceKey(OWN), 'ynn'],
    [leaseKey(OWN), 'ynn'],
    // The node's own memory.
    [headKey(OWN, 'me'), 'yyn'],
    [certificateKey(OWN, 'me'), 'yyn'],
    [ackKey(OWN, 'me'), 'yyn'],
    [segment(OWN, 'me'), 'yyy'],
    [part(OWN, 'me'), 'yyy'],
    [manifest(OWN, 'me'), 'yyy'],
    // The memory of another node, in a space that both share.
    [headKey(OWN, 'other'), 'ynn'],
    [certificateKey(OWN, 'other'), 'ynn'],
    [ackKey(OWN, 'other'), 'ynn'],
    [segment(OWN, 'other'), 'ynn'],
    [part(OWN, 'other'), 'ynn'],
    [manifest(OWN, 'other'), 'ynn'],
    // Names that start like this node's name, or differ only in case.
    [headKey(OWN, 'me2'), 'ynn'],
    [headKey(OWN, 'Me'), 'ynn'],
    [segment(OWN, 'me.x'), 'ynn'],
    // A space in which the node takes no part, also under its own name.
    [spaceKey(FOREIGN), 'nnn'],
    [leaseKey(FOREIGN), 'nnn'],
    [headKey(FOREIGN, 'me'), 'nnn'],
    [certificateKey(FOREIGN, 'me'), 'nnn'],
    [ackKey(FOREIGN, 'me'), 'nnn'],
    [segment(FOREIGN, 'me'), 'nnn'],
    [part(FOREIGN, 'me'), 'nnn'],
    [manifest(FOREIGN, 'me'), 'nnn'],
    // Mirrors of a space with another primary, or none.
    [mirror(OWN).database, 'nnn'],
    [mirror(OWN).digest, 'nnn'],
    [mirror(OWN).manifest, 'nnn'],
    [mirror(OWN).lock, 'nnn'],
    [mirror(FOREIGN).database, 'nnn'],
    // Blobs, while the node holds no lease.
    [blobKey(NAMED), 'nnn'],
    // Nothing is stored there: the answer shows that the store works.
    ['membridge-health/probe', 'ynn'],
  ])('decides GET, PUT and DELETE of %s as %s', (key, expected) => {
    expect(verdicts(idle, key)).toBe(expected);
  });

  test.each([
    [mirror(LED).database, 4, 'yyn'],
    [mirror(LED).digest, 4, 'yyn'],
    [mirror(LED).manifest, 4, 'yyn'],
    [mirror(LED).lock, 4, 'yyy'],
    [mirror(LED).database, 3, 'ynn'],
    [mirror(LED).lock, 5, 'ynn'],
    [mirror(LED).lock, null, 'ynn'],
    [leaseKey(LED), 4, 'ynn'],
  ])('decides %s for a primary in epoch 4 that names epoch %s as %s', (key, epoch, expected) => {
    expect(verdicts(idle, key, epoch)).toBe(expected);
  });

  test.each([
    [blobKey(NAMED), 'yyn'],
    [blobKey(UNNAMED), 'nyn'],
  ])('decides %s for a node that holds a lease as %s', (key, expected) => {
    expect(verdicts(working, key)).toBe(expected);
  });

  test('allows HEAD where it allows GET', () => {
    const head = (key: string): boolean => mayTouch(idle, { method: 'HEAD', key }).allowed;
    expect(head(headKey(OWN, 'other'))).toBe(true);
    expect(head(headKey(FOREIGN, 'me'))).toBe(false);
  });

  test.each([
    '',
    '/',
    'space.json',
    'projects',
    `projects/${OWN}`,
    memoryPrefix(OWN),
    `/${headKey(OWN, 'me')}`,
    `${headKey(OWN, 'me')}/`,
    headKey(OWN, ''),
    headKey(OWN, '.'),
    headKey(OWN, '..'),
    headKey(OWN, '../heads/me'),
    headKey(OWN, 'me\0'),
    headKey(OWN, 'me%2f'),
    headKey(OWN, 'me%2Fx'),
    headKey(OWN, 'me\\x'),
    headKey(OWN, 'me '),
    headKey(OWN, 'mé'),
    headKey(OWN, 'me?x'),
    headKey(OWN, 'x'.repeat(129)),
    `${memoryPrefix(OWN)}/heads/me`,
    `${memoryPrefix(OWN)}heads//me`,
    `${memoryPrefix(OWN)}heads/./me`,
    `${memoryPrefix(OWN)}seg/other/../me/1abc/000000000007-${hash}.mbs`,
    `${memoryPrefix(OWN)}Heads/me`,
    `${memoryPrefix(OWN)}keys/me`,
    `${memoryPrefix(OWN)}seg/me/1abc/7-${hash}.mbs`,
    `${memoryPrefix(OWN)}seg/me/1abc/000000000007-${hash}`,
    `${memoryPrefix(OWN)}seg/me/1ABC/000000000007-${hash}.mbs`,
    `${memoryPrefix(OWN)}seg/.me/1abc/000000000007-${hash}.mbs`,
    `${memoryPrefix(OWN)}snap/.me/0123456789ab-${hash.slice(0, 16)}/manifest.json`,
    `${memoryPrefix(OWN)}snap/me/0123456789ab-${hash.slice(0, 16)}/part-1.mbs`,
    `${memoryPrefix(OWN)}other/me`,
    `projects/${OWN.toUpperCase()}/memory/v1/heads/me`,
    `projects/../projects/${OWN}/memory/v1/heads/me`,
    `projects/${OWN}/memory/v2/heads/me`,
    `projects/${OWN}/sqlite/other.db`,
    leaseAuditKey(OWN, 'x'),
    `blobs/bb/${NAMED}`,
    `blobs/aa/${NAMED.toUpperCase()}`,
    `expired-blobs/${NAMED}`,
    'membridge-health/other',
    'x'.repeat(1_025),
  ])('refuses %j as a key, whatever the method', (key) => {
    expect(verdicts(working, key, 4)).toBe('???');
  });

  test('accepts a node name with two dots inside', () => {
    expect(verdicts({ ...idle, node: 'a..b' }, headKey(OWN, 'a..b'))).toBe('yyn');
  });
});

describe('the rule for lists', () => {
  test.each([
    headPrefix(OWN),
    certificatesPrefix(OWN),
    segmentsPrefix(OWN),
    segmentPrefix(OWN, 'other'),
    `${segmentPrefix(OWN, 'other')}1abc/`,
    acksPrefix(OWN),
    snapshotsPrefix(OWN),
    memoryPrefix(OWN),
  ])('allows %s to a member', (prefix) => {
    expect(mayList(idle, prefix, '')).toMatchObject({ allowed: true });
    expect(mayList(idle, prefix, `${prefix}x`)).toMatchObject({ allowed: true });
  });

  test('forbids the prefix of a space in which the node takes no part', () => {
    expect(mayList(idle, headPrefix(FOREIGN), '')).toMatchObject({ code: 'forbidden' });
  });

  test.each([
    ['', ''],
    ['projects/', ''],
    [`projects/${OWN}`, ''],
    [`projects/${OWN}/`, ''],
    [`projects/${OWN}/memory/v1`, ''],
    [`projects/${OWN}/sqlite/`, ''],
    ['blobs/', ''],
    [`${memoryPrefix(OWN)}/`, ''],
    [`${memoryPrefix(OWN)}../../`, ''],
    [`${memoryPrefix(OWN)}heads/\0`, ''],
    [headPrefix(OWN), headPrefix(FOREIGN)],
    [headPrefix(OWN), `${headPrefix(OWN)}../../x`],
    [headPrefix(OWN), `${headPrefix(OWN)}%2f`],
  ])('refuses a list of prefix %j from %j on', (prefix, startAfter) => {
    expect(mayList(idle, prefix, startAfter)).toMatchObject({ code: 'bad_request' });
  });
});

test('allows an output as long as the longest of the held tasks may write, with its times', () => {
  const verdict = mayTouch(working, { method: 'PUT', key: blobKey(NAMED) });
  if (!verdict.allowed) throw new Error(verdict.reason);
  expect(maxBytes(verdict.kind, working)).toBe(6_000 + 4 * 2 ** 20);
});
