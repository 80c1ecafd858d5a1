// A stand-in for claude-mem's worker: writes one observation after another, and reports how long each took.
import Database from 'better-sqlite3';
import { Prose } from '../../fixtures/claude-mem/prose.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { jobOf, serve } from './program.ts';

/** The worker's own settings (claude-mem 13.25.3 on every open). */
const BUSY_TIMEOUT_MS = 5_000;

/** The time from the end of one write to the next, in milliseconds: far busier than any worker. */
const PAUSE_MS = 20;

/** What the writer measured since the last call. */
export interface Written {
  /** Milliseconds per committed row. */
  readonly latencies: number[];
  /** Writes that failed because the database stayed locked: lost memories. */
  readonly busy: number;
}

// oxlint-disable-next-line typescript/consistent-type-definitions
export type WriterCalls = { take(): Written };

const { path, name } = jobOf() as { path: string; name: string };
const db = new Database(path, { timeout: BUSY_TIMEOUT_MS });
db.pragma('foreign_keys = ON');
db.pragma('synchronous = NORMAL');
const writer = new MemoryWriter(db);
const prose = new Prose(7);
writer.session({
  contentSessionId: name,
  memorySessionId: `memory-${name}`,
  project: 'garden',
  startedAt: Date.now(),
  status: 'active',
});

let latencies: number[] = [];
let busy = 0;

function writeOne(): void {
  const observation = {
    memorySessionId: `memory-${name}`,
    project: 'garden',
    title: prose.text(60),
    narrative: prose.text(1_200),
    facts: [prose.text(130), prose.text(130), prose.text(130)],
    createdAt: Date.now(),
  };
  const began = performance.now();
  try {
    writer.observation(observation);
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    busy += 1;
  }
  latencies.push(performance.now() - began);
  setTimeout(writeOne, PAUSE_MS);
}
writeOne();

const calls: WriterCalls = {
  take: () => {
    const written = { latencies, busy };
    latencies = [];
    busy = 0;
    return written;
  },
};
serve(calls, () => void db.close());
