import type Database from 'better-sqlite3';
import type { Kind } from '../format/kinds.ts';
import { RULE_SET } from '../space/redact.ts';
import { Blocks } from './blocks.ts';
import { Coverage } from './coverage.ts';
import { Dirty, DELETION_PART } from './dirty.ts';
import { Entities } from './entities.ts';
import { Inbox } from './inbox.ts';
import { Marks } from './marks.ts';
import { openLedger } from './open.ts';
import { Outbox } from './outbox.ts';
import { Revocations } from './revocations.ts';
import { Signers } from './signers.ts';
import { Spaces } from './spaces.ts';
import { statementsOf } from './statements.ts';

/** The opened ledger of one claude-mem database: its tables and its transactions. */
export class Ledger {
  readonly db: Database.Database;
  readonly #sql: ReturnType<typeof statementsOf>;
  readonly entities: Entities;
  readonly blocks: Blocks;
  readonly marks: Marks;
  readonly dirty: Dirty;
  readonly revocations: Revocations;
  readonly signers: Signers;
  readonly spaces: Spaces;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly coverage: Coverage;
  /** Number of the redaction rules that this node uses (redact.ts). */
  readonly ruleSet: number;

  /** @throws MembridgeError ledger_failed */
  constructor(path: string, ruleSet = RULE_SET) {
    this.ruleSet = ruleSet;
    this.db = openLedger(path);
    this.#sql = statementsOf(this.db);
    this.entities = new Entities(this.db);
    this.blocks = new Blocks(this.db);
    this.marks = new Marks(this.db, this.blocks);
    this.dirty = new Dirty(this.db);
    this.revocations = new Revocations(this.db);
    this.signers = new Signers(this.db);
    this.spaces = new Spaces(this.db);
    this.outbox = new Outbox(this.db);
    this.inbox = new Inbox(this.db);
    this.coverage = new Coverage(this.db);
  }

  /** Returns the largest local id of a kind that a scan has seen or a merge has written. */
  highestRow(kind: Kind): number {
    return Math.max(this.entities.scannedTo(kind), this.marks.highest(kind));
  }

  /** Returns whether any row of a kind above a local id has a mark or a memory. */
  knowsAbove(kind: Kind, row: number): boolean {
    return this.marks.highest(kind) > row || this.entities.hasRowAbove(kind, row);
  }

  /** Runs work in one transaction: all or nothing. */
  atomically<T>(work: () => T): T {
    return this.db.transaction(work).immediate();
  }

  /** Like atomically, and survives a power cut; for what is promised to the store. */
  durably<T>(work: () => T): T {
    this.db.pragma('synchronous = FULL');
    try {
      return this.atomically(work);
    } finally {
      if (!this.db.inTransaction) this.db.pragma('synchronous = NORMAL');
    }
  }

  /**
   * Reads in one transaction. Outside of one, each statement takes and releases the file's lock, which costs
   * more than the statement.
   */
  reading<T>(work: () => T): T {
    return this.db.transaction(work).deferred();
  }

  meta(name: string): string | number | null {
    const row = this.#sql('SELECT value FROM meta WHERE name = ?').get(name) as
      { value: string | number } | undefined;
    return row?.value ?? null;
  }

  setMeta(name: string, value: string | number): void {
    this.#sql(
      'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    ).run(name, value);
  }

  /**
   * Forgets everything, because claude-mem's file is not the one that this ledger was made for. The next sync
   * begins a new incarnation, reads every segment again and finds most rows present.
   */
  reset(): void {
    this.atomically(() => {
      for (const table of [
        'entity',
        'register',
        'former',
        'seen',
        'block',
        'witness',
        'scanned',
        'emitted',
        'dirty',
        'withheld',
        'outbox',
        'segment',
        'staged',
        'covered',
        'head',
        'waiting',
        'alias',
        'extra',
      ]) {
        this.db.exec(`DELETE FROM ${table}`);
      }
      // The memories to heal (heal.ts) were queued in the tables cleared above.
      this.db.exec(`DELETE FROM meta WHERE name GLOB 'heals:*' OR name GLOB 'healed:*'`);
      this.db.exec('UPDATE space SET epoch = NULL, seq = 0, head_etag = NULL, last_full_list = 0');
    });
  }

  /** Forgets what a space has: the store lost it, so everything is sent again. Keeps waiting operations. */
  forgetSpace(space: number): void {
    this.entities.forgetSpace(space);
    this.inbox.forgetSpace(space);
    // Answers to peers' damage reports (heal.ts) may be lost as well.
    for (const answers of ['heals:', 'healed:']) {
      this.db
        .prepare('DELETE FROM meta WHERE name = ? || (SELECT cid FROM space WHERE id = ?)')
        .run(answers, space);
    }
    this.db.prepare('DELETE FROM emitted WHERE space = ?').run(space);
    for (const key of this.entities.deadKeys()) this.dirty.mark(space, key, DELETION_PART);
  }

  close(): void {
    this.db.close();
  }
}
