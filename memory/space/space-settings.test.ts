import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../../test/memory/nodes.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import { segmentsPrefix } from '../format/layout.ts';
import { redactText } from './redact.ts';
import { generateSealingKey } from '../format/sealing.ts';
import { readOperations } from '../format/segment.ts';
import { changedStore } from '../../test/memory/changed-store.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
let fleet: TestFleet;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  fleet = await newFleet();
  a = fleet.add('a', '13.25.3');
  b = fleet.add('b', '13.25.3');
});
afterEach(() => fleet.close());

function observe(node: TestNode, project: string, title: string, narrative = 'n'): void {
  const memory = `mem-${node.name}-${project}`;
  if (node.db.prepare('SELECT 1 FROM sdk_sessions WHERE memory_session_id = ?').get(memory) === undefined) {
    node.write.session({
      contentSessionId: `s-${node.name}-${project}`,
      memorySessionId: memory,
      project,
      startedAt: JANUARY,
    });
  }
  node.write.observation({ memorySessionId: memory, project, title, narrative, createdAt: JANUARY + 1 });
}
const titles = (node: TestNode): unknown[] =>
  node.db.prepare('SELECT project, title FROM observations ORDER BY title').raw().all();

describe('projects of a space', () => {
  it('have different names on each node', async () => {
    observe(a, 'my-app', 'from a');
    observe(b, 'app', 'from b');
    const onA = { ...fleet.space, projects: ['app'], names: { 'my-app': 'app' } };
    const onB = { ...fleet.space, projects: ['app'] };
    for (let round = 0; round < 2; round += 1) {
      await a.engine.push(onA, CALL);
      await b.engine.push(onB, CALL);
      await a.engine.pull(onA, true, CALL);
      await b.engine.pull(onB, true, CALL);
    }
    expect(titles(a)).toEqual([
      ['my-app', 'from a'],
      ['my-app', 'from b'],
    ]);
    expect(titles(b)).toEqual([
      ['app', 'from a'],
      ['app', 'from b'],
    ]);
    expect((await a.engine.push(onA, CALL)).rows + (await b.engine.push(onB, CALL)).rows).toBe(0);
  });

  it('stay here when they are excluded', async () => {
    observe(a, 'garden', 'public');
    observe(a, 'diary', 'private');
    await a.engine.push({ ...fleet.space, excluded: ['diary'] }, CALL);
    await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual([['garden', 'public']]);
  });

  it('are sent once they are no longer excluded', async () => {
    observe(a, 'diary', 'private');
    await settle({ ...fleet.space, excluded: ['diary'] }, [a, b]);
    expect(titles(b)).toEqual([]);
    await settle(fleet.space, [a, b]);
    expect(titles(b)).toEqual([['diary', 'private']]);
  });

  it('are sent under a space name that they get later, and keep their local name', async () => {
    observe(a, 'yard', 'from a');
    await settle(fleet.space, [a, b]);
    await a.engine.push({ ...fleet.space, names: { yard: 'garden' } }, CALL);
    await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual([['garden', 'from a']]);
    expect(titles(a)).toEqual([['yard', 'from a']]);
    expect((await b.engine.push(fleet.space, CALL)).rows).toBe(0);
  });

  it('stay separate here when two of them are one in the space, also with a new ledger', async () => {
    observe(a, 'alpha', 'from a');
    const space = { ...fleet.space, names: { zeta: 'p', alpha: 'p' } };
    await settle(space, [a]);
    await a.engine.close();
    const again = fleet.reopen(a, { ledgerPath: `${a.options.ledgerPath}-2` });
    await again.push(space, CALL);
    await again.close();
    expect(titles(a)).toEqual([['alpha', 'from a']]);
    await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual([['p', 'from a']]);
  });

  it('keep their memory under the former canonical id after a rename', async () => {
    observe(a, 'garden', 'old');
    await a.engine.push(fleet.space, CALL);
    const renamed = {
      ...fleet.space,
      cid: canonicalId('renamed'),
      projectId: 'renamed',
      aliases: [fleet.space.cid],
    };
    await b.engine.pull(renamed, true, CALL);
    expect(titles(b)).toEqual([['garden', 'old']]);
    observe(b, 'garden', 'new');
    expect((await b.engine.push(renamed, CALL)).rows).toBe(2);
    await a.engine.pull(renamed, true, CALL);
    expect(titles(a)).toEqual([
      ['garden', 'new'],
      ['garden', 'old'],
    ]);
  });
});

describe('redacted secrets', () => {
  const token = `ghp_${'a1B2'.repeat(9)}`;

  it('do not leave the machine, while the memory does', async () => {
    observe(a, 'garden', 'Found a token', `It was ${token}, in .env`);
    await settle(fleet.space, [a, b]);
    expect(b.db.prepare('SELECT narrative FROM observations').pluck().get()).toBe(
      'It was [redacted:github-token], in .env',
    );
    expect(a.db.prepare('SELECT narrative FROM observations').pluck().get()).toContain(token);
    for (const { key } of await a.options.store.list(segmentsPrefix(fleet.space.cid))) {
      const bytes = await a.options.store.get(key);
      expect(JSON.stringify(readOperations(bytes ?? Buffer.alloc(0)).operations)).not.toContain(token);
    }
    expect([a.count('observations'), b.count('observations')]).toEqual([1, 1]);
  });

  it('stay on the machine, also with a new ledger', async () => {
    const userPrompt = `use ${token} please`;
    a.write.session({
      contentSessionId: 's',
      memorySessionId: 'm',
      project: 'p',
      userPrompt,
      startedAt: JANUARY,
    });
    await a.engine.push(fleet.space, CALL);
    await a.engine.close();
    const again = fleet.reopen(a, { ledgerPath: `${a.options.ledgerPath}-2` });
    await again.push(fleet.space, CALL);
    const prompt = a.db.prepare('SELECT user_prompt FROM sdk_sessions').pluck();
    expect(prompt.get()).toBe(userPrompt);
    // A peer's later write is applied nevertheless.
    await b.engine.pull(fleet.space, true, CALL);
    b.db.exec(`UPDATE sdk_sessions SET user_prompt = 'another'`);
    await b.engine.audit(CALL, { deep: true });
    await b.engine.push(fleet.space, CALL);
    await again.pull(fleet.space, true, CALL);
    await again.close();
    expect(prompt.get()).toBe('another');
  });

  it('leave a memory of two database copies one memory', async () => {
    observe(a, 'garden', 'Found a token', token);
    const c = fleet.add('c', '13.25.3');
    c.db.exec(`ATTACH '${a.path}' AS old`);
    for (const table of ['sdk_sessions', 'observations'])
      c.db.exec(`INSERT INTO main.${table} SELECT * FROM old.${table}`);
    c.db.exec('DETACH old');
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => node.count('observations'))).toEqual([1, 1, 1]);
    a.db.exec(`UPDATE observations SET concepts = '["changed"]'`);
    await settle(fleet.space, [a, b, c]);
    for (const node of [b, c]) {
      expect(node.db.prepare('SELECT concepts FROM observations').pluck().get()).toBe('["changed"]');
    }
    c.db.exec('DELETE FROM observations');
    await settle(fleet.space, [a, b, c]);
    expect([a, b, c].map((node) => node.count('observations'))).toEqual([0, 0, 0]);
  });

  it('are recognized by their form alone', () => {
    expect(redactText('postgres://app:hunter22@db/x')).toBe('postgres://app:[redacted:password-in-url]@db/x');
    expect(redactText('AKIAIOSFODNN7EXAMPLE')).toBe('[redacted:aws-key]');
    for (const harmless of [
      'a task-list of 40 characters and many more words',
      'https://example.com/a:b@c',
      'npm_config',
    ]) {
      expect(redactText(harmless)).toBe(harmless);
    }
  });
});

describe('a node that is not trusted', () => {
  it('has its memories set aside until it is', async () => {
    observe(a, 'garden', 'from a');
    await a.engine.push(fleet.space, CALL);
    await b.engine.pull({ ...fleet.space, trust: { a: 'hold' } }, true, CALL);
    expect(titles(b)).toEqual([]);
    await b.engine.pull(fleet.space, false, CALL);
    expect(titles(b)).toEqual([['garden', 'from a']]);
  });

  it('is not even fetched from when it is ignored', async () => {
    observe(a, 'garden', 'from a');
    await a.engine.push(fleet.space, CALL);
    expect(await b.engine.pull({ ...fleet.space, trust: { a: 'ignore' } }, true, CALL)).toMatchObject({
      segments: 0,
      traffic: { bytesDown: 0 },
    });
    await b.engine.pull(fleet.space, true, CALL);
    expect(titles(b)).toEqual([['garden', 'from a']]);
  });
});

describe('an encrypted space', () => {
  const sealed = (): TestFleet['space'] => ({ ...fleet.space, encrypted: true });

  it('is readable for its members only', async () => {
    await b.engine.push(sealed(), CALL);
    observe(a, 'garden', 'secret garden');
    await a.engine.push(sealed(), CALL);
    const [segment] = await a.options.store.list(segmentsPrefix(fleet.space.cid));
    const bytes = (await a.options.store.get(segment?.key ?? '')) ?? Buffer.alloc(0);
    expect(bytes.includes('secret garden')).toBe(false);
    expect(() => readOperations(bytes, [])).toThrow(/encrypted/);
    expect(() => readOperations(bytes, [generateSealingKey().key])).toThrow(/not for any key/);
    await b.engine.pull(sealed(), true, CALL);
    expect(titles(b)).toEqual([['garden', 'secret garden']]);
  });

  it('is not sealed for a former member', async () => {
    await b.engine.push(sealed(), CALL);
    observe(a, 'garden', 'after b left');
    await a.engine.push({ ...sealed(), members: ['a'] }, CALL);
    const pulled = await b.engine.pull(sealed(), true, CALL);
    expect(titles(b)).toEqual([]);
    expect(pulled.problems).toMatchObject([
      { node: 'a', problem: expect.stringContaining('encrypted') as string },
    ]);
  });

  it('is sent again to a node that joins later', async () => {
    observe(a, 'garden', 'before b joined');
    await a.engine.push({ ...sealed(), members: ['a'] }, CALL);
    const space = { ...sealed(), members: ['a', 'b'] };
    await b.engine.push(space, CALL);
    expect((await b.engine.pull(space, true, CALL)).problems).toHaveLength(1);
    await a.engine.pull(space, true, CALL);
    await a.engine.push(space, CALL);
    await b.engine.pull(space, true, CALL);
    expect((await b.engine.pull(space, true, CALL)).problems).toEqual([]);
    expect(titles(b)).toEqual([['garden', 'before b joined']]);
  });

  it('drops plain-text segments that were prepared before the space was encrypted', async () => {
    await b.engine.push(fleet.space, CALL);
    observe(a, 'garden', 'before');
    await a.engine.close();
    const real = openObjectStore(fleet.access);
    const away = fleet.reopen(a, {
      store: changedStore(real, {
        put: async (key, bytes) => {
          if (key.includes('/seg/')) throw new MembridgeError('store_unavailable', 'the store is away');
          await real.put(key, bytes);
        },
      }),
    });
    await expect(away.push(fleet.space, CALL)).rejects.toMatchObject({ code: 'store_unavailable' });
    await away.close();
    const again = fleet.reopen(a, {});
    await again.push(sealed(), CALL);
    const after = openObjectStore(fleet.access);
    const segments = await after.list(segmentsPrefix(fleet.space.cid));
    expect(segments).toHaveLength(1);
    const bytes = (await after.get(segments[0]?.key ?? '')) ?? Buffer.alloc(0);
    expect(() => readOperations(bytes, [])).toThrow(/encrypted/);
    after.close();
    await b.engine.pull(sealed(), true, CALL);
    expect(titles(b)).toEqual([['garden', 'before']]);
    await again.close();
  });

  it('is sealed for a member whose key could not be read at the previous push', async () => {
    await b.engine.push(sealed(), CALL);
    await a.engine.close();
    let isKeyReadable = false;
    const real = openObjectStore(fleet.access);
    const get = (key: string) =>
      key.endsWith('keys/b.json') && !isKeyReadable ? Promise.resolve(null) : real.get(key);
    const again = fleet.reopen(a, { store: changedStore(real, { get }) });
    observe(a, 'garden', 'first');
    await again.push(sealed(), CALL);
    isKeyReadable = true;
    observe(a, 'garden', 'second');
    await again.push(sealed(), CALL);
    const { problems } = await b.engine.pull(sealed(), true, CALL);
    expect(problems).toMatchObject([{ node: 'a', problem: expect.stringContaining('segment 1') as string }]);
    // a sends again what b could not read.
    await again.pull(sealed(), true, CALL);
    await again.push(sealed(), CALL);
    await b.engine.pull(sealed(), true, CALL);
    expect(titles(b)).toEqual([
      ['garden', 'first'],
      ['garden', 'second'],
    ]);
    await again.close();
  });

  it('stays readable after a node changed its key', async () => {
    await b.engine.push(sealed(), CALL);
    observe(a, 'garden', 'before');
    await a.engine.push(sealed(), CALL);
    await b.engine.close();
    const fresh = generateSealingKey().key;
    const { identity } = b.options;
    const again = fleet.reopen(b, {
      identity: { ...identity, sealingKeys: [fresh, ...identity.sealingKeys] },
    });
    await again.push(sealed(), CALL);
    observe(a, 'garden', 'then');
    await a.engine.push(sealed(), CALL);
    await again.pull(sealed(), true, CALL);
    expect(titles(b)).toEqual([
      ['garden', 'before'],
      ['garden', 'then'],
    ]);
    const last = (await a.options.store.list(segmentsPrefix(fleet.space.cid))).at(-1);
    const bytes = (await a.options.store.get(last?.key ?? '')) ?? Buffer.alloc(0);
    expect(readOperations(bytes, [fresh]).operations).toHaveLength(1);
    await again.close();
  });
});

it('returns memories of another machine intact after both changed settings', async () => {
  writeHistory(a.db, { name: 'alpha', seed: 1, observations: 24, from: JANUARY });
  await a.engine.push(fleet.space, CALL);
  await a.engine.push({ ...fleet.space, encrypted: true }, CALL);
  await settle(fleet.space, [a, b]);
  expect(b.hash()).toBe(a.hash());
});
