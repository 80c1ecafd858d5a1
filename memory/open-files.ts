import { existsSync, realpathSync, statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { Changes } from './detect/changes.ts';
import { AuditReader } from './claude-mem/audit-reader.ts';
import { openForReading } from './claude-mem/open.ts';
import { RowReader } from './claude-mem/read.ts';
import { RowWatch } from './claude-mem/row-watch.ts';
import { detectSchema } from './claude-mem/schema.ts';
import type { EngineOptions } from './engine-options.ts';
import type { Opened } from './session.ts';
import { matchesDatabase } from './ledger/matches-database.ts';
import { Ledger } from './ledger/ledger.ts';
import { lockDatabase } from './ledger/open.ts';
import { FORMAT_VERSION } from './format/operation.ts';
import { isRestored } from './restore/restore.ts';
import { fileIdOf } from './restore/swap.ts';
import { ScannedRows } from './detect/scanned-rows.ts';
import { HybridClock } from './format/versions.ts';

/** Ledger entry for the file that the ledger was last used with. */
const FILE_ENTRY = 'file';

/** Keeps a claude-mem database and its ledger open, and notices when the file or its content was replaced. */
export class OpenFiles {
  readonly #options: EngineOptions;
  readonly #now: () => number;
  #opened: Opened | null = null;
  #verifiedVersion = -1;
  /** Counts how often the files were opened or the ledger was reset. */
  #generation = 0;

  constructor(options: EngineOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /**
   * Returns the open files. Opens them if needed, and reopens them when claude-mem's file was replaced or its
   * tables were upgraded.
   * @throws MembridgeError memory_*, ledger_failed
   */
  open(): Opened {
    const { databasePath, ledgerPath, lockDirectory, identity, ruleSet } = this.#options;
    const inode = existsSync(databasePath) ? statSync(databasePath).ino : -1;
    if (this.#opened !== null && this.#opened.inode === inode) {
      const { db, schemaVersion } = this.#opened;
      if (schemaVersionOf(db) === schemaVersion) return this.#verify(this.#opened);
    }
    this.close();
    const db = openForReading(databasePath);
    let lock: { release(): void } | null = null;
    try {
      const schema = detectSchema(db, databasePath);
      lock = lockDatabase(databasePath, lockDirectory);
      const ledger = new Ledger(ledgerPath, ruleSet);
      ledger.atomically(() => ledger.inbox.fetchAgainSince(FORMAT_VERSION));
      const reader = new RowReader(db, schema);
      const clock = new HybridClock(Number(ledger.meta('hlc') ?? 0), this.#now);
      this.#generation += 1;
      this.#verifiedVersion = -1;
      this.#opened = {
        db,
        reader,
        auditReader: new AuditReader(db, schema, reader),
        watch: new RowWatch(realpathSync(databasePath), db),
        scanned: new ScannedRows(db),
        changes: new Changes({ ledger, schema, clock, node: identity.node }),
        schema,
        ledger,
        clock,
        inode,
        schemaVersion: schemaVersionOf(db),
        lock,
      };
      return this.#verify(this.#opened);
    } catch (error) {
      lock?.release();
      db.close();
      throw error;
    }
  }

  /**
   * Returns a stamp that changes with every commit (PRAGMA data_version), every reopening and every reset of
   * the ledger.
   */
  stamp({ db }: Pick<Opened, 'db'>): string {
    return `${this.#generation}/${dataVersionOf(db)}`;
  }

  /** Closes what is open; the next use opens it again. */
  close(): void {
    if (this.#opened === null) return;
    const { db, ledger, lock } = this.#opened;
    this.#opened = null;
    db.close();
    ledger.close();
    lock.release();
  }

  /**
   * Checks, after every commit of others, that the ledger still belongs to this database; resets the ledger
   * if not.
   */
  #verify(opened: Opened): Opened {
    const { db, ledger } = opened;
    const version = dataVersionOf(db);
    if (version === this.#verifiedVersion) return opened;
    const path = this.#options.databasePath;
    const depth = this.#verifiedVersion === -1 ? 'opened' : 'running';
    const file = fileIdOf(path);
    const before = ledger.meta(FILE_ENTRY);
    const isAnother = before !== null && before !== file && !isRestored(ledger, file);
    if (!matchesDatabase(opened, depth, isAnother)) {
      this.#options.log?.(`${path} is not the database of its ledger (restored?); the ledger is reset`);
      ledger.reset();
      this.#generation += 1;
    }
    if (before !== file) ledger.setMeta(FILE_ENTRY, file);
    this.#verifiedVersion = version;
    return opened;
  }
}

const dataVersionOf = (db: Database.Database): number =>
  db.pragma('data_version', { simple: true }) as number;
const schemaVersionOf = (db: Database.Database): number =>
  db.pragma('schema_version', { simple: true }) as number;
