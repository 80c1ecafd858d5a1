import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { buildDatabase } from '../fixtures/claude-mem/build.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { MemoryWriter } from '../fixtures/claude-mem/write.ts';

/** One simulated machine of the demo: a home folder with its own claude-mem database. */
export interface Machine {
  readonly id: string;
  readonly home: string;
  readonly databasePath: string;
  /** A connection like that of claude-mem's worker. */
  readonly db: Database.Database;
  readonly writer: MemoryWriter;
}

/** Machines with their claude-mem releases, and their own observations. */
const MACHINES = [
  { id: 'laptop', release: '13.25.3', own: 900 },
  { id: 'desktop', release: '13.25.3', own: 600 },
  { id: 'server', release: '12.7.5', own: 300 },
];

/** Observations from before the machines separated: the same rows on each. */
const SHARED = 1_200;

const SPRING = Date.UTC(2026, 2, 2, 9);
const SUMMER = Date.UTC(2026, 6, 6, 9);

/**
 * Makes three machines below a folder: shared history, then months apart, and the "manual" session, which claude-mem
 * names alike on every machine.
 */
export function makeMachines(folder: string): Machine[] {
  return MACHINES.map(({ id, release, own }, n) => {
    const home = join(folder, id);
    const databasePath = join(home, '.claude-mem', 'claude-mem.db');
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const db = buildDatabase(databasePath, release);
    writeHistory(db, { name: 'shared', seed: 1, observations: SHARED, from: SPRING });
    writeHistory(db, { name: id, seed: 100 + n, observations: own, from: SUMMER });
    const writer = new MemoryWriter(db);
    const memorySessionId = 'manual-garden';
    writer.session({
      contentSessionId: 'manual-garden',
      memorySessionId,
      project: 'garden',
      userPrompt: 'Notes kept by hand',
      startedAt: SUMMER + n * 86_400_000,
    });
    for (let k = 1; k <= 5; k += 1) {
      writer.observation({
        memorySessionId,
        project: 'garden',
        type: 'decision',
        title: `Note ${k} kept on ${id}`,
        narrative: `Written down by hand on ${id}, so that the other machines know it too.`,
        createdAt: SUMMER + n * 86_400_000 + k * 60_000,
      });
    }
    return { id, home, databasePath, db, writer };
  });
}

/** Counts the rows of the four synced tables. */
export function countMemories(machine: Machine): number {
  const tables = ['sdk_sessions', 'user_prompts', 'session_summaries', 'observations'];
  return tables.reduce(
    (sum, table) => sum + (machine.db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number),
    0,
  );
}
