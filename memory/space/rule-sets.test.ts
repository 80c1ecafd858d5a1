import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { segmentsPrefix } from '../format/layout.ts';
import { readOperations } from '../format/segment.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
/** Secrets of a form that the first rules knew, and of one that they did not. */
const KNOWN = `ghp_${'a1B2'.repeat(9)}`;
const NEWER = `glrt-${'c3D4'.repeat(6)}`;
const NEWER_OUT = '[redacted:gitlab-token]';
/** Makes a node act as a release up to 0.4 did. */
const OLD = { ruleSet: 1 };

let fleet: TestFleet;
let old: TestNode;
let peer: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  old = fleet.add('old', '13.25.3', OLD);
  peer = fleet.add('peer', '13.25.3', OLD);
});
afterEach(() => fleet.close());

function observe(node: TestNode, narrative: string, project = 'garden'): void {
  if (node.count('sdk_sessions') === 0) {
    node.write.session({ contentSessionId: 's', memorySessionId: 'm', project, startedAt: JANUARY });
  }
  node.write.observation({
    memorySessionId: 'm',
    project,
    title: 'a token',
    narrative,
    createdAt: JANUARY,
  });
}

/** Upgrades a machine's agent, optionally with its ledger lost. */
async function upgrade(node: TestNode, { losesLedger = false } = {}): Promise<TestNode> {
  await node.engine.close();
  const { ledgerPath } = node.options;
  const options = { ...node.options, ruleSet: 2, ledgerPath: losesLedger ? `${ledgerPath}-2` : ledgerPath };
  return { ...node, options, engine: fleet.reopen(node, options) };
}

const narratives = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT narrative FROM observations ORDER BY id').pluck().all();
const column = (node: TestNode, name: string): unknown =>
  node.db.prepare(`SELECT ${name} FROM observations`).pluck().get();

/** Returns every operation on observations that was ever sent. */
async function sent(space: SpaceConfig = fleet.space): Promise<string[]> {
  const { store } = old.options;
  const lines: string[] = [];
  for (const { key } of await store.list(segmentsPrefix(space.cid))) {
    const bytes = await store.get(key);
    for (const operation of readOperations(bytes ?? Buffer.alloc(0)).operations) {
      if (operation.kind === 'observation') lines.push(JSON.stringify(operation));
    }
  }
  return lines;
}

describe('a memory with a secret that only newer rules find', () => {
  it.each([
    ['as it is', `run ${NEWER} now`],
    ['beside a secret that older rules knew', `run ${NEWER} and ${KNOWN} now`],
  ])('stays one memory while machines are upgraded one after another: %s', async (_case, text) => {
    observe(old, text);
    await settle(fleet.space, [old, peer]);
    const published = await sent();
    const before = [narratives(old), narratives(peer)];
    for (const losesLedger of [false, true]) {
      for (const order of [
        [old, peer],
        [peer, old],
      ] as const) {
        const upgraded: TestNode[] = [];
        for (const node of order) {
          const now = await upgrade(node, { losesLedger });
          upgraded.push(now);
          await now.engine.push(fleet.space, CALL);
          await now.engine.audit(CALL, { deep: true });
          await settle(fleet.space, [now]);
        }
        await settle(fleet.space, upgraded);
        expect([narratives(old), narratives(peer)]).toEqual(before);
        for (const { engine } of upgraded) await engine.close();
      }
    }
    const newer = (await sent()).filter((line) => !published.includes(line));
    expect(newer.filter((line) => line.includes('"type":"delete"'))).toEqual([]);
    const keys = new Set(
      (await sent()).map((line) => JSON.stringify((JSON.parse(line) as { key: unknown }).key)),
    );
    expect(keys.size).toBe(1);
  });

  it('is in the snapshots of upgraded machines, and is restored from them as one memory', async () => {
    observe(old, `run ${NEWER} and ${KNOWN} now`);
    await settle(fleet.space, [old, peer]);
    const nodes = [await upgrade(old), await upgrade(peer)];
    for (const [index, node] of nodes.entries()) {
      await node.engine.snapshot(fleet.space, CALL);
      const fresh = fleet.add(`fresh-${index}`, '13.25.3');
      await fresh.engine.pull(fleet.space, true, CALL);
      await settle(fleet.space, [...nodes, fresh]);
      expect(narratives(fresh)).toEqual([`run ${NEWER} and [redacted:github-token] now`]);
    }
    expect(nodes.map((node) => node.count('observations'))).toEqual([1, 1]);
    for (const { engine } of nodes) await engine.close();
  });

  it('keeps edits and a deletion in step between upgraded machines and others', async () => {
    observe(old, `run ${NEWER} now`);
    await settle(fleet.space, [old, peer]);
    const upgraded = await upgrade(old);
    upgraded.db.exec(`UPDATE observations SET concepts = '["by the upgraded"]'`);
    await settle(fleet.space, [upgraded, peer]);
    expect(column(peer, 'concepts')).toBe('["by the upgraded"]');
    peer.db.exec(`UPDATE observations SET concepts = '["by the other"]'`);
    await settle(fleet.space, [peer, upgraded]);
    expect(column(upgraded, 'concepts')).toBe('["by the other"]');
    peer.db.exec('DELETE FROM observations');
    await settle(fleet.space, [peer, upgraded]);
    expect([upgraded, peer].map((node) => node.count('observations'))).toEqual([0, 0]);
    await upgraded.engine.close();
  });

  it('is sent without the secret when it is written again after its deletion', async () => {
    const text = `run ${NEWER} now`;
    observe(old, text);
    await settle(fleet.space, [old, peer]);
    old.db.exec('DELETE FROM observations');
    await settle(fleet.space, [old, peer]);
    const published = await sent();
    const upgraded = await upgrade(old);
    observe(upgraded, text);
    await settle(fleet.space, [upgraded, peer]);
    expect([narratives(upgraded), narratives(peer)]).toEqual([[text], [`run ${NEWER_OUT} now`]]);
    expect((await sent()).filter((line) => !published.includes(line)).join('\n')).not.toContain(NEWER);
    await upgraded.engine.close();
  });

  it('is sent again under its key after the store lost everything', async () => {
    const text = `run ${NEWER} and ${KNOWN} now`;
    observe(old, text);
    await settle(fleet.space, [old, peer]);
    const nodes = [await upgrade(old), await upgrade(peer)];
    const { store } = old.options;
    for (const { key } of await store.list(`projects/${fleet.space.cid}/`)) await store.remove(key);
    const fresh = fleet.add('fresh', '13.25.3');
    for (const { engine } of nodes) await engine.pull(fleet.space, true, CALL);
    await settle(fleet.space, [...nodes, fresh]);
    await fresh.engine.pull(fleet.space, true, CALL);
    expect([...nodes, fresh].map((node) => node.count('observations'))).toEqual([1, 1, 1]);
    expect(narratives(fresh)).toEqual([`run ${NEWER} and [redacted:github-token] now`]);
    for (const { engine } of nodes) await engine.close();
  });

  it('is sent without the secret to a space that did not know it', async () => {
    observe(old, `run ${NEWER} now`);
    await settle(fleet.space, [old, peer]);
    const other: SpaceConfig = { cid: canonicalId('other'), projectId: 'other', projects: ['*'] };
    const upgraded = await upgrade(old);
    const stranger = fleet.add('stranger', '13.25.3');
    await settle(other, [upgraded, stranger]);
    await settle(fleet.space, [upgraded, peer]);
    await settle(other, [upgraded, stranger]);
    expect(narratives(stranger)).toEqual([`run ${NEWER_OUT} now`]);
    expect((await sent(other)).join('\n')).not.toContain(NEWER);
    expect([upgraded, peer].map((node) => node.count('observations'))).toEqual([1, 1]);
    upgraded.db.exec('DELETE FROM observations');
    await settle(other, [upgraded, stranger]);
    await settle(fleet.space, [upgraded, peer]);
    expect([upgraded, peer, stranger].map((node) => node.count('observations'))).toEqual([0, 0, 0]);
    await upgraded.engine.close();
  });
});

describe('a fleet of older and newer releases', () => {
  it('has one memory of what a newer release publishes, and no secret in the store', async () => {
    const newer = fleet.add('newer', '13.25.3');
    observe(newer, `run ${NEWER} now`);
    newer.db.exec(`UPDATE observations SET metadata = '{"token":"${NEWER}"}'`);
    await settle(fleet.space, [newer, old, peer]);
    expect([old, peer].map(narratives)).toEqual([[`run ${NEWER_OUT} now`], [`run ${NEWER_OUT} now`]]);
    old.db.exec(`UPDATE observations SET concepts = '["by an older one"]'`);
    await settle(fleet.space, [newer, old, peer]);
    expect([newer, peer].map((node) => column(node, 'concepts'))).toEqual(
      Array(2).fill('["by an older one"]'),
    );
    expect((await sent()).join('\n')).not.toContain(NEWER);
    expect(narratives(newer)).toEqual([`run ${NEWER} now`]);
    const upgraded = [await upgrade(old, { losesLedger: true }), await upgrade(peer)];
    await settle(fleet.space, [newer, ...upgraded]);
    expect([newer, ...upgraded].map((node) => node.count('observations'))).toEqual([1, 1, 1]);
    for (const { engine } of upgraded) await engine.close();
  });

  it('has one memory of two copies of a database when the older release publishes first', async () => {
    const newer = fleet.add('newer', '13.25.3');
    for (const node of [old, newer]) observe(node, `run ${NEWER} now`);
    await settle(fleet.space, [old, newer, peer]);
    expect([old, newer, peer].map((node) => node.count('observations'))).toEqual([1, 1, 1]);
  });

  it('has one memory of a row that two spaces know under two keys', async () => {
    observe(old, `run ${NEWER} now`);
    await settle(fleet.space, [old, peer]);
    const other: SpaceConfig = { cid: canonicalId('other'), projectId: 'other', projects: ['*'] };
    const nodes = [await upgrade(old), await upgrade(peer)];
    await settle(other, nodes);
    await settle(fleet.space, nodes);
    expect(nodes.flatMap(narratives)).toEqual(Array(2).fill(`run ${NEWER} now`));
    nodes[1]?.db.exec(`UPDATE observations SET concepts = '["here"]'`);
    await settle(other, nodes);
    expect(column(old, 'concepts')).toBe('["here"]');
    old.db.exec('DELETE FROM observations');
    for (const space of [other, fleet.space]) await settle(space, nodes);
    expect(nodes.map((node) => node.count('observations'))).toEqual([0, 0]);
    for (const { engine } of nodes) await engine.close();
  });

  it('sends a detail without the secret once it is written again', async () => {
    observe(old, 'harmless');
    old.db.exec(`UPDATE observations SET metadata = '{"token":"${NEWER}"}'`);
    await settle(fleet.space, [old, peer]);
    const upgraded = await upgrade(old);
    upgraded.db.exec(`UPDATE observations SET metadata = '{"token":"${NEWER}","n":2}'`);
    await settle(fleet.space, [upgraded, peer]);
    expect(column(peer, 'metadata')).toBe(`{"token":"${NEWER_OUT}","n":2}`);
    expect(column(upgraded, 'metadata')).toContain(NEWER);
    await upgraded.engine.close();
  });
});
