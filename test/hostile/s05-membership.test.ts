import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { certificateKey } from '../../memory/format/layout.ts';
import { generateNodeKey, signMembership } from '../../memory/format/signing.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

const HOUR = 3_600_000;
let fleet: TestFleet;
let honest: TestNode;
let other: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  honest = fleet.add('honest', '13.25.3');
  other = fleet.add('other', '13.25.3');
});
afterEach(() => fleet.close());

function remember(node: TestNode, title: string, count = 1): void {
  const session = { contentSessionId: `s-${title}`, memorySessionId: `m-${title}`, project: 'open' };
  node.write.session({ ...session, startedAt: 1 });
  for (let n = 0; n < count; n += 1) {
    node.write.observation({
      ...session,
      title: `${title} ${n}`,
      narrative: `${title} ${n}`,
      createdAt: n + 2,
    });
  }
}
const titles = (node: TestNode): string[] =>
  node.db.prepare('SELECT title FROM observations ORDER BY title').pluck().all() as string[];
const pull = async (node: TestNode, space: SpaceConfig = fleet.space): Promise<string> =>
  JSON.stringify((await node.engine.pull(space, true, CALL)).problems);
const retired = (node: TestNode, until: number) => ({
  retired: [{ node: node.name, key_id: node.options.identity.key.keyId, until }],
});

describe('S5: a machine that was removed', () => {
  it('adds nothing to the fleet with its former key, and the pull reports that', async () => {
    remember(other, 'before');
    await settle(fleet.space, [honest, other]);
    fleet.tell([honest], retired(other, Date.now() - HOUR));
    remember(other, 'after');
    await other.engine.push(fleet.space, CALL);
    expect(await pull(honest)).toMatch(/after the key [0-9a-f]{16} of node other was retired/);
    expect(titles(honest)).toEqual(['before 0']);
  });

  it('keeps what it sent before, also for a machine that joins later', async () => {
    remember(other, 'before');
    await other.engine.push(fleet.space, CALL);
    const newcomer = fleet.add('newcomer', '13.25.3');
    fleet.tell([newcomer], retired(other, Date.now() + HOUR));
    expect(await pull(newcomer)).toBe('[]');
    expect(titles(newcomer)).toEqual(['before 0']);
  });

  it('is also held back in a snapshot that it wrote, and after a restart of the reader', async () => {
    remember(other, 'snapshot');
    await other.engine.push(fleet.space, CALL);
    await other.engine.snapshot(fleet.space, CALL);
    fleet.tell([honest], retired(other, Date.now() - HOUR));
    await pull(honest);
    expect(titles(honest)).toEqual([]);
    await honest.engine.close();
    const again = fleet.reopen(honest, {});
    expect((await again.pull(fleet.space, true, CALL)).inserted).toBe(0);
    await again.close();
  });

  it('is read again once a person moves the time of its retirement', async () => {
    remember(other, 'moved');
    await other.engine.push(fleet.space, CALL);
    fleet.tell([honest], retired(other, Date.now() - HOUR));
    await pull(honest);
    fleet.tell([honest], retired(other, Date.now() + HOUR));
    expect(await pull(honest)).toBe('[]');
    expect(titles(honest)).toEqual(['moved 0']);
  });

  it('cannot forge a membership', () => {
    const forged = signMembership(
      {
        format: 'membridge-membership/1',
        retired: [{ node: 'honest', key_id: honest.options.identity.key.keyId, until: 0 }],
        encrypted: {},
        sealing: {},
        deletions: [],
        since: 0,
      },
      generateNodeKey().key.privateKey,
    );
    expect(() => other.engine.setMembership(forged)).toThrow('not signed by this control plane');
  });
});

describe('S7: an old list of keys that somebody puts back', () => {
  it('does not make others encrypt for a retired key', async () => {
    const space = { ...fleet.space, encrypted: true };
    const key = certificateKey(space.cid, 'other');
    remember(other, 'first');
    await other.engine.push(space, CALL);
    const old = await other.options.store.get(key);
    const oldKey = other.options.identity.sealingKeys[0];
    await other.engine.close();
    const fresh = generateSealingKey().key;
    const sealingKeys = [fresh, ...other.options.identity.sealingKeys];
    const rotated = fleet.reopen(other, { identity: { ...other.options.identity, sealingKeys } });
    remember(other, 'second');
    await rotated.push(space, CALL);
    await other.options.store.put(key, old ?? Buffer.alloc(0));
    fleet.tell([honest], { sealing: { other: [fresh.keyId, oldKey?.keyId ?? ''] } });
    remember(honest, 'secret');
    await honest.engine.push(space, CALL);
    const reader = fleet.add('reader', '13.25.3', {
      identity: { ...other.options.identity, node: 'reader', sealingKeys: [oldKey ?? fresh] },
    });
    await reader.engine.pull(space, true, CALL);
    expect(titles(reader)).not.toContain('secret 0');
    await rotated.close();
  });
});

describe('S10: an encrypted space', () => {
  it('accepts nothing unencrypted, except what is older than the switch', async () => {
    remember(other, 'old');
    await other.engine.push(fleet.space, CALL);
    const space = { ...fleet.space, encrypted: true };
    fleet.tell([honest], { encrypted: { [space.cid]: Date.now() + HOUR } });
    expect(await pull(honest, space)).toBe('[]');
    fleet.tell([honest], { encrypted: { [space.cid]: Date.now() - HOUR } });
    remember(other, 'plain');
    await other.engine.push(fleet.space, CALL);
    expect(await pull(honest, space)).toMatch(
      /not encrypted, and was stored at .*, after the space was encrypted/,
    );
    expect(titles(honest)).toEqual(['old 0']);
  });

  it('gets the memories of a machine that learned of the switch late', async () => {
    const space = { ...fleet.space, encrypted: true };
    const since = { encrypted: { [space.cid]: Date.now() - HOUR } };
    remember(other, 'late');
    await other.engine.push(fleet.space, CALL);
    await honest.engine.push(space, CALL);
    fleet.tell([honest, other], since);
    await pull(honest, space);
    await pull(other, space);
    await other.engine.push(space, CALL);
    expect(await pull(honest, space)).toBe('[]');
    expect(titles(honest)).toEqual(['late 0']);
  });
});
