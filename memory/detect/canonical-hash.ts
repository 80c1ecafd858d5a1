import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { RowCounts } from '../../contract/memory/memory.ts';
import { RowReader, nameOf, type MemoryRow } from '../claude-mem/read.ts';
import { detectSchema } from '../claude-mem/schema.ts';
import { EXCLUDED_PROJECT, KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import { homeOf } from '../format/operation.ts';
import { canonicalJson } from '../format/canonical-json.ts';

/** Rows of each kind, as SQLite counts them. */
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

const PAGE = 1_000;

/** Of a session, what is the same everywhere; status and end belong to the machine that runs it until it is done. */
const SESSION_STATE = ['project', 'user_prompt', 'custom_title', 'started_at_epoch'];

/**
 * One digest per memory of a database, straight from its rows: equal on two machines exactly when both hold the same
 * memories in the same state. Reads claude-mem alone, not the ledger, so that it can judge the ledger's work.
 * Sessions that say nothing of their own (stubs among them) and claude-mem's observer sessions are left out.
 */
export function* canonicalDigests(
  db: Database.Database,
  path: string,
): Generator<{ kind: Kind; digest: string }> {
  const schema = detectSchema(db, path);
  const reader = new RowReader(db, schema);
  for (const kind of KINDS) {
    for (let last = 0; ;) {
      const rows = reader.after(kind, last, PAGE);
      for (const row of rows) {
        if (row.project === EXCLUDED_PROJECT || (kind === 'session' && isStub(row))) continue;
        yield { kind, digest: digestOf(kind, row) };
      }
      last = rows.at(-1)?.id ?? last;
      if (rows.length < PAGE) break;
    }
  }
}

/** SHA-256 in hex over all digests in order: the whole database's memory as one value. */
export function canonicalHash(db: Database.Database, path: string): string {
  const digests = Array.from(canonicalDigests(db, path), ({ digest }) => digest).sort();
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}

/** Whether a session may have been made up for rows whose own never came: such a one is not told of. */
function isStub(row: MemoryRow): boolean {
  return (row.set['user_prompt'] ?? null) === null && (row.set['custom_title'] ?? null) === null;
}

function digestOf(kind: Kind, row: MemoryRow): string {
  const columns = kind === 'session' ? SESSION_STATE : SHAPES[kind].registers;
  const state = Object.fromEntries(columns.map((column) => [column, row.set[column] ?? null]));
  // A row without a session counts as the stub session's, which is what peers make of it.
  const of = homeOf(row.of);
  const key = memoryKey(kind, row.set, nameOf(row.of)).toString('hex');
  return createHash('sha256').update(canonicalJson({ key, of, state })).digest('hex');
}
