import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compare, takeInventory, unite } from '../../demo/inventory.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { openForReading } from '../../memory/claude-mem/open.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';
import { expectIntact } from '../memory/expect-intact.ts';
import { CLAUDE_MEM, installWorker } from './install.ts';
import { startWorker, type RealWorker } from './worker.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);

/** How many memories must be saved during the merge; the merge continues until then. */
const ENOUGH = 80;

let fleet: TestFleet;
let workers: RealWorker[];
beforeAll(installWorker);
beforeEach(async () => {
  fleet = await newFleet();
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await fleet.close();
});

interface Machine {
  readonly node: TestNode;
  readonly worker: RealWorker;
  readonly path: string;
}

/** Starts the real worker on a folder; it makes its database, or upgrades the existing one. */
async function work(dataDir: string): Promise<RealWorker> {
  const worker = await startWorker(dataDir);
  workers.push(worker);
  return worker;
}

/** Makes a machine whose database the real worker made. */
async function machine(name: string): Promise<Machine> {
  const dataDir = join(fleet.folder, `${name}-data`);
  const worker = await work(dataDir);
  const path = join(dataDir, 'claude-mem.db');
  return { node: fleet.add(name, CLAUDE_MEM, { databasePath: path }), worker, path };
}

function inventory(path: string): Map<string, number> {
  const db = openForReading(path);
  try {
    return takeInventory(db);
  } finally {
    db.close();
  }
}

function addHistory(path: string, name: string, observations: number): void {
  const db = new Database(path, { timeout: 5_000 });
  writeHistory(db, { name, seed: 1, observations, from: JANUARY });
  db.close();
}

describe('two machines with the real worker', () => {
  it('save and prompt through their APIs while they are merged, and each finds the other’s', async () => {
    const machines = [await machine('a'), await machine('b')];
    for (const { node, path } of machines) addHistory(path, `history-of-${node.name}`, 480);
    const saved: string[] = [];
    const prompted: string[] = [];
    let refused = 0;
    let merging = true;

    // Each machine saves into its own project and into a shared one, and continues one conversation.
    const writing = machines.map(async ({ node, worker }) => {
      for (let n = 0; merging; n += 1) {
        const title = `saved${node.name}${n}x`;
        const project = n % 2 === 0 ? 'shared' : `of-${node.name}`;
        if (await worker.save({ title, text: `Number ${n}, kept while a merge ran.`, project }))
          saved.push(title);
        else refused += 1;
        const text = `Prompt ${n} of ${node.name}`;
        const session = n % 2 === 0 ? 'conversation' : `conversation-of-${node.name}`;
        if (await worker.prompt({ session, project: 'shared', text })) prompted.push(text);
        else refused += 1;
      }
    });
    const syncing = machines.map(async ({ node }) => {
      for (let round = 0; round < 4 || saved.length < ENOUGH; round += 1) {
        await node.engine.push(fleet.space, CALL);
        await node.engine.pull(fleet.space, false, CALL);
      }
    });
    await Promise.all(syncing).finally(() => {
      merging = false;
    });
    await Promise.all(writing);
    await settle(
      fleet.space,
      machines.map(({ node }) => node),
    );

    expect(refused).toBe(0);
    for (const { worker, path } of machines) {
      const titles = (await worker.all('observations')).map((row) => String(row['title']));
      expect(titles.filter((title) => title.startsWith('saved')).sort()).toEqual([...saved].sort());
      expect(titles.length).toBe(2 * 480 + saved.length);
      const texts = (await worker.all('prompts')).map((row) => String(row['prompt_text']));
      expect(texts.filter((text) => text.startsWith('Prompt ')).sort()).toEqual([...prompted].sort());
      for (const title of [saved[0], saved.at(-1), 'savedb1x', 'saveda1x']) {
        expect(await worker.search(title ?? '')).toContain(title);
      }
      expectIntact(path, path);
    }
    const [a, b] = machines.map(({ path }) => inventory(path));
    expect(compare(a ?? new Map(), b ?? new Map())).toEqual({ lost: 0, duplicated: 0 });
  });
});

describe('the real worker upgrading a database that was synced before', () => {
  it.each(['4.2.1', '7.4.5', '9.1.1', '12.7.5'])('from %s loses and doubles nothing', async (release) => {
    const old = fleet.add('old', release);
    const recent = await machine('recent');
    writeHistory(old.db, { name: 'shared', seed: 1, observations: 36, from: JANUARY });
    addHistory(recent.path, 'shared', 36);
    writeHistory(old.db, { name: 'of-old', seed: 2, observations: 48, from: JANUARY + 1e9 });
    addHistory(recent.path, 'of-recent', 48);
    expect(
      await recent.worker.save({ title: 'before', text: 'Before the upgrade.', project: 'garden' }),
    ).toBe(true);
    // What the old tables have no room for.
    const other = new Database(recent.path, { timeout: 5_000 });
    other.exec(`UPDATE observations SET type = 'security_alert'
        WHERE id % 5 = 0 AND memory_session_id LIKE 'mem-of-recent%';
      UPDATE sdk_sessions SET platform_source = 'codex' WHERE content_session_id LIKE 'of-recent%'`);
    other.close();
    const expected = unite([inventory(old.path), inventory(recent.path)]);
    const nodes = [old, recent.node];
    await settle(fleet.space, nodes);
    expect(compare(inventory(old.path), expected)).toEqual({ lost: 0, duplicated: 0 });

    // Under the agent, as an update of the plugin does it.
    const upgraded = await work(join(fleet.folder, 'old'));
    expect(await upgraded.save({ title: 'after', text: 'After the upgrade.', project: 'garden' })).toBe(true);
    expect(await recent.worker.save({ title: 'meanwhile', text: 'Meanwhile.', project: 'garden' })).toBe(
      true,
    );
    const now = inventory(recent.path);
    await settle(fleet.space, nodes);
    const all = unite([expected, now, inventory(recent.path)]);
    for (const path of [old.path, recent.path]) {
      expect(compare(inventory(path), all), path).toEqual({ lost: 0, duplicated: 0 });
      expectIntact(path, path);
    }
    for (const worker of [upgraded, recent.worker]) {
      for (const title of ['before', 'meanwhile', 'after'])
        expect(await worker.search(title)).toContain(title);
      const rows = await worker.all('observations');
      expect(rows.filter((row) => row['type'] === 'security_alert').length).toBeGreaterThan(5);
      expect(rows.length).toBe(36 + 48 + 48 + 3);
    }
  });
});

it('treats one old database on two machines as one history, whenever each upgraded it', async () => {
  const machines = ['a', 'b', 'c'].map((name) => fleet.add(name, '5.5.1'));
  for (const { db } of machines)
    writeHistory(db, { name: 'copied', seed: 9, observations: 48, from: JANUARY });
  const expected = inventory(machines[0]?.path ?? '');
  const [a, b, c] = machines as [TestNode, TestNode, TestNode];
  await work(join(fleet.folder, 'a'));
  await settle(fleet.space, [a, c]);
  await work(join(fleet.folder, 'b'));
  await settle(fleet.space, machines);
  for (const { path } of machines) {
    expect(compare(inventory(path), expected), path).toEqual({ lost: 0, duplicated: 0 });
    expectIntact(path, path);
  }
  const hashes = [a, b].map(({ db }) =>
    db.prepare('SELECT content_hash FROM observations ORDER BY id').pluck().all(),
  );
  // Each upgrade generated its own hashes, so they must not decide whether memories are equal.
  expect(hashes[0]).not.toEqual(hashes[1]);
  expect(c.hash()).toBe(a.hash());
});

describe('the tables of the fixtures', () => {
  it('are those that the real worker makes', async () => {
    const real = await machine('real');
    const built = buildDatabase(join(fleet.folder, 'built', 'claude-mem.db'), CLAUDE_MEM);
    const theirs = new Database(real.path, { readonly: true });
    try {
      expect(layout(built)).toEqual(layout(theirs));
    } finally {
      built.close();
      theirs.close();
    }
  });
});

interface Described {
  name: string;
  unique: number;
  partial: number;
}

/**
 * Returns what a merge depends on, by table: columns, unique keys, foreign keys and triggers, in any order and with
 * any names.
 */
function layout(db: Database.Database): unknown {
  const tables = db
    .prepare(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_fts_%' ORDER BY name`,
    )
    .pluck()
    .all() as string[];
  return tables.map((table) => {
    const columns = db
      .prepare('SELECT name, upper(type) AS type, "notnull", pk FROM pragma_table_info(?)')
      .all(table);
    const indexes = db.pragma(`index_list(${table})`) as Described[];
    const unique = indexes
      .filter((index) => index.unique === 1)
      .map((index) => {
        const fields = db.prepare('SELECT name FROM pragma_index_info(?)').pluck().all(index.name);
        return `${fields.join(', ')}${index.partial === 1 ? ' (partial)' : ''}`;
      });
    const keys = db
      .prepare('SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)')
      .all(table);
    const triggers = db
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?`)
      .pluck()
      .all(table) as string[];
    return {
      table,
      columns: columns.map((column) => JSON.stringify(column)).sort(),
      unique: [...new Set(unique)].sort(),
      keys,
      triggers: triggers.sort(),
    };
  });
}
