import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { RowCounts } from '../../contract/memory/memory.ts';
import { RowReader, namedSession, type MemoryRow } from '../claude-mem/read.ts';
import { detectSchema } from '../claude-mem/schema.ts';
import { EXCLUDED_PROJECT, KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import { homeSessionOf } from '../format/operation.ts';
import { canonicalJson } from '../format/canonical-json.ts';

/** Returns the number of rows of each kind, counted by SQLite. */
export function countRows(db: Database.Database): RowCounts {
  const count = (kind: Kind): number =>
    db.prepare(`SELECT count(*) FROM ${SHAPES[kind].table}`).pluck().get() as number;
  return {
    sessions: count('session'),
    prompts: count('prompt'),
    observations: count('observation'),
    summaries: count('summary'),
  };
}

const PAGE_ROWS = 1_000;

/**
 * Session columns that are equal on every machine. Status and end belong to the running machine until the
 * session completes.
 */
const SESSION_STATE = ['project', 'user_prompt', 'custom_title', 'started_at_epoch'];

/**
 * Yields one digest per memory, read from claude-mem's rows: two machines agree exactly when they hold the
 * same memories in the same state. It ignores the ledger, so that it can check the ledger's work. Leaves out
 * sessions without content of their own (stubs among them) and claude-mem's observer sessions.
 */
export function* canonicalDigests(
  db: Database.Database,
  path: string,
): Generator<{ kind: Kind; digest: string }> {
  const schema = detectSchema(db, path);
  const reader = new RowReader(db, schema);
  for (const kind of KINDS) {
    for (let last = 0; ;) {
      const rows = reader.readAfter(kind, last, PAGE_ROWS);
      for (const row of rows) {
        if (row.project === EXCLUDED_PROJECT || (kind === 'session' && isStub(row))) continue;
        yield { kind, digest: digestOf(kind, row) };
      }
      last = rows.at(-1)?.id ?? last;
      if (rows.length < PAGE_ROWS) break;
    }
  }
}

/** Returns SHA-256 in hex over all digests in order: one value for all memories of the database. */
export function canonicalHash(db: Database.Database, path: string): string {
  const digests = Array.from(canonicalDigests(db, path), ({ digest }) => digest).sort();
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}

/**
 * Returns whether a session may be a stub, created for rows whose own session never arrived. Stubs are never
 * sent.
 */
function isStub(row: MemoryRow): boolean {
  return (row.set['user_prompt'] ?? null) === null && (row.set['custom_title'] ?? null) === null;
}

function digestOf(kind: Kind, row: MemoryRow): string {
  const columns = kind === 'session' ? SESSION_STATE : SHAPES[kind].registers;
  const state = Object.fromEntries(columns.map((column) => [column, row.set[column] ?? null]));
  // A row without a session counts as part of the stub session, where peers put it.
  const of = homeSessionOf(row.of);
  const key = memoryKey(kind, row.set, namedSession(row.of)).toString('hex');
  return createHash('sha256').update(canonicalJson({ key, of, state })).digest('hex');
}
