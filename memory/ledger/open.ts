import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';

/**
 * The ledger records, for one claude-mem database, which row is which memory, what was sent and what was
 * received. It is a separate file beside the agent's data: claude-mem's file gets no table, trigger or
 * column. Losing it costs a new incarnation and time, never a memory.
 */
const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- A memory by its key. "row" is NULL until it is in claude-mem; several keys may name one row.
-- "spaces" has bit n set when space n has an operation for it, from here or from a peer.
-- "origin" is the segment that brought it, NULL for a memory first seen here. "dead" is 1 once it was deleted.
CREATE TABLE entity (
  key BLOB PRIMARY KEY, kind INTEGER NOT NULL, row INTEGER, spaces INTEGER NOT NULL DEFAULT 0,
  counter INTEGER NOT NULL DEFAULT 0, hlc INTEGER NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '', origin INTEGER,
  dead INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX entity_row ON entity (kind, row, spaces);
CREATE INDEX entity_dead ON entity (dead) WHERE dead = 1;

-- When a register of a memory was written, where that is not the entity's own version; "life" for a deletion.
CREATE TABLE register (
  key BLOB, unit TEXT, counter INTEGER NOT NULL, hlc INTEGER NOT NULL, node TEXT NOT NULL, PRIMARY KEY (key, unit)
) WITHOUT ROWID;

-- Writes of registers that later ones replaced, so that a later one can be revoked.
CREATE TABLE former (
  key BLOB, unit TEXT, counter INTEGER, hlc INTEGER, node TEXT, value TEXT NOT NULL, PRIMARY KEY (key, unit, counter, hlc, node)
) WITHOUT ROWID;
-- Writes that another node signed than they name (signers.ts), with the segment that brought them.
CREATE TABLE signer (
  key BLOB, unit TEXT, counter INTEGER, hlc INTEGER, node TEXT, segment INTEGER NOT NULL,
  PRIMARY KEY (key, unit, counter, hlc, node)
) WITHOUT ROWID;
-- What was revoked here, with all that is needed to take it back.
CREATE TABLE revocation (
  id TEXT PRIMARY KEY, space INTEGER NOT NULL, node TEXT NOT NULL, since INTEGER NOT NULL, at INTEGER NOT NULL,
  undone INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE revoked (revocation TEXT, key BLOB, unit TEXT, what TEXT NOT NULL, PRIMARY KEY (revocation, key, unit)) WITHOUT ROWID;

-- What each row of claude-mem looked like when its changes were last considered for the spaces (marks.ts).
CREATE TABLE seen (kind INTEGER, row INTEGER, mark BLOB NOT NULL, PRIMARY KEY (kind, row)) WITHOUT ROWID;

-- Of 256 rows at a time, a digest of what they looked like when each was last found to agree with its mark (audit.ts).
CREATE TABLE block (kind INTEGER, block INTEGER, digest BLOB NOT NULL, PRIMARY KEY (kind, block)) WITHOUT ROWID;

-- Of a deletion that was one of a clean-up: the key of the like memory that was left (merge/witness.ts).
CREATE TABLE witness (key BLOB PRIMARY KEY, kept BLOB NOT NULL) WITHOUT ROWID;

-- Rows up to this local id have been looked at, by kind.
CREATE TABLE scanned (kind INTEGER PRIMARY KEY, high INTEGER NOT NULL);

CREATE TABLE space (
  id INTEGER PRIMARY KEY, cid TEXT NOT NULL UNIQUE, projects TEXT NOT NULL,
  epoch TEXT, seq INTEGER NOT NULL DEFAULT 0, chain TEXT NOT NULL, head_etag TEXT, last_full_list INTEGER NOT NULL DEFAULT 0
);
-- Rows up to this local id have been considered for sending, by space and kind.
CREATE TABLE emitted (space INTEGER, kind INTEGER, high INTEGER NOT NULL, PRIMARY KEY (space, kind)) WITHOUT ROWID;
-- Memories to be sent (again) although they lie below that mark; "parts" says what of them (dirty.ts).
CREATE TABLE dirty (space INTEGER, key BLOB, parts INTEGER NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID;
-- The same of parts that were written while their memory was of an excluded project: they stay here as long as it is.
CREATE TABLE withheld (space INTEGER, key BLOB, parts INTEGER NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID;
-- Sealed segments on their way to the store: the very bytes, so that a crash sends the same object again.
CREATE TABLE outbox (
  space INTEGER, epoch TEXT, seq INTEGER, sha TEXT NOT NULL, operations INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (space, epoch, seq)
);

-- Every segment that was fetched or sent; "done" counts its operations applied so far.
CREATE TABLE segment (
  id INTEGER PRIMARY KEY, space INTEGER NOT NULL, node TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
  hash TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('own', 'staged', 'held', 'applied', 'damaged')),
  done INTEGER NOT NULL DEFAULT 0, problem TEXT, at INTEGER NOT NULL, UNIQUE (space, node, epoch, seq, hash)
);
-- The bytes of a segment, until all of its operations are applied.
CREATE TABLE staged (segment INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE INDEX segment_staged ON segment (space) WHERE state = 'staged';
CREATE INDEX segment_damaged ON segment (space) WHERE state = 'damaged';
CREATE INDEX segment_held ON segment (space) WHERE state = 'held';
-- Everything of a node's incarnation up to "seq" is here, even if its segments are gone: a snapshot covered them.
-- "hashes" are those of the segments at that sequence number.
CREATE TABLE covered (
  space INTEGER, node TEXT, epoch TEXT, seq INTEGER NOT NULL, hashes TEXT NOT NULL, PRIMARY KEY (space, node, epoch)
) WITHOUT ROWID;
CREATE TABLE head (space INTEGER, node TEXT, etag TEXT NOT NULL, PRIMARY KEY (space, node)) WITHOUT ROWID;
CREATE TABLE certificate (node TEXT, key_id TEXT, json TEXT NOT NULL, PRIMARY KEY (node, key_id)) WITHOUT ROWID;
-- Operations that cannot be applied yet, with the reason. "parked" ones wait for their memory to be written again.
CREATE TABLE waiting (
  space INTEGER, key BLOB, version TEXT, line TEXT NOT NULL, origin INTEGER NOT NULL, reason TEXT NOT NULL,
  since INTEGER NOT NULL, parked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (space, key, version)
) WITHOUT ROWID;
-- Which session a peer's memory_session_id belongs to.
CREATE TABLE alias (memory TEXT PRIMARY KEY, session BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_session ON alias (session);
-- Columns of a memory that this machine's claude-mem has no place for.
CREATE TABLE extra (key BLOB PRIMARY KEY, columns TEXT NOT NULL) WITHOUT ROWID;
`;

/**
 * Raised when SCHEMA changes. A ledger of version 3 (Membridge 0.3 and 0.4) gets the missing tables. An older
 * one is emptied, which costs one full listing but no memory.
 */
const LEDGER_VERSION = 5;

/** Tables that later versions added, by version. */
const ADDED_TABLES: Readonly<Record<number, readonly string[]>> = { 4: ['block', 'witness'], 5: ['signer'] };

/** Page cache in KiB. 48 MiB made no sync of 300,000 rows faster, and an agent must stay below 250 MB. */
const CACHE_KIB = 16 * 1024;

/**
 * Opens the ledger; creates it when it is missing.
 * @throws MembridgeError ledger_failed when the file is damaged or of a newer Membridge
 */
export function openLedger(path: string): Database.Database {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const db = new Database(path, { timeout: 1_000 });
    db.pragma('journal_mode = WAL');
    // A power cut may cost the last commits, whose work is then repeated. What must not be lost uses
    // `durably`.
    db.pragma('synchronous = NORMAL');
    db.pragma(`cache_size = -${CACHE_KIB}`);
    const found = db.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw new Error(String(found));
    const version = db.pragma('user_version', { simple: true }) as number;
    if (version > LEDGER_VERSION) throw new Error('it was written by a newer Membridge; update this one');
    if (version < LEDGER_VERSION) {
      db.transaction(() => {
        if (version < 3) beginSchema(db);
        else
          for (let next = version + 1; next <= LEDGER_VERSION; next += 1)
            addTables(db, ADDED_TABLES[next] ?? []);
        db.pragma(`user_version = ${LEDGER_VERSION}`);
      })();
    }
    return db;
  } catch (cause) {
    throw new MembridgeError(
      'ledger_failed',
      `The sync ledger ${path} cannot be used: ${errorMessage(cause)}. If it is damaged, stop the agent and delete it: the next sync rebuilds it without loss.`,
      { cause },
    );
  }
}

function addTables(db: Database.Database, names: readonly string[]): void {
  for (const name of names) {
    const statement = new RegExp(`CREATE TABLE ${name} \\([^;]*;`).exec(SCHEMA)?.[0];
    if (statement === undefined) throw new Error(`the schema has no table ${name}`);
    db.exec(statement);
  }
}

function beginSchema(db: Database.Database): void {
  const tables = db
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
    .pluck()
    .all() as string[];
  for (const table of tables) db.exec(`DROP TABLE "${table}"`);
  db.exec(SCHEMA);
}

/**
 * Takes the one lock per claude-mem database and user, independent of the ledger. Holds it until `release` or
 * the end of the process.
 * @param directory folder of the locks: the same for every agent of this user
 * @throws MembridgeError memory_in_use when another agent holds it
 */
export function lockDatabase(databasePath: string, directory: string): { release(): void } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const real = realpathSync(databasePath);
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32);
  // SQLite's own lock: the kernel releases it however the process dies.
  const db = new Database(join(directory, `${name}.lock`), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    db.close();
    throw new MembridgeError(
      'memory_in_use',
      `Another Membridge agent of this user syncs ${real} already. Stop it first: one agent per database.`,
      { cause },
    );
  }
  return { release: () => db.close() };
}
