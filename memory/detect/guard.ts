import type Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { KINDS, SHAPES } from '../format/kinds.ts';
import type { SyncSession } from '../session.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Deletions that are believed without asking: up to this many rows, or this share of all rows if that is more. */
const BELIEVED_ROWS = 50;
const BELIEVED_SHARE = 0.01;

/** Where the ledger keeps how many deletions a person has approved, and how many wait for one. */
const APPROVED = 'deletes:approved';
const HELD = 'deletes:held';
/** Since when they wait, epoch ms. */
const HELD_SINCE = 'deletes:held-since';

interface Missing {
  readonly missing: number;
  readonly rows: number;
}

/** How many rows that were here are not any more. */
function countMissing(db: Database.Database, ledger: Ledger): Missing {
  let missing = 0;
  let rows = 0;
  for (const kind of KINDS) {
    const seen = ledger.marks.count(kind);
    const high = ledger.highestRow(kind);
    const present = db
      .prepare(`SELECT count(*) FROM ${SHAPES[kind].table} WHERE id <= ?`)
      .pluck()
      .get(high) as number;
    rows += seen;
    missing += Math.max(0, seen - present);
  }
  return { missing, rows };
}

/**
 * Whether deletions that were found may be told to the fleet. More than 50 rows and more than 1 % of the database gone at
 * once look like an accident: they are held until somebody says otherwise.
 */
export function checkDeletions(context: { db: Database.Database; ledger: Ledger }): boolean {
  const { ledger } = context;
  const { missing, rows } = countMissing(context.db, ledger);
  const believed = Math.max(BELIEVED_ROWS, rows * BELIEVED_SHARE, Number(ledger.meta(APPROVED) ?? 0));
  const held = missing > believed;
  if (held && heldDeletions(ledger) === 0) ledger.setMeta(HELD_SINCE, Date.now());
  ledger.setMeta(HELD, held ? missing : 0);
  if (!held && missing === 0) ledger.setMeta(APPROVED, 0);
  return !held;
}

/** How many deletions wait for a person to approve them, 0 for none. */
export function heldDeletions(ledger: Ledger): number {
  return Number(ledger.meta(HELD) ?? 0);
}

/** Believes the deletions that are held. */
export function approveDeletions(ledger: Ledger): void {
  ledger.setMeta(APPROVED, heldDeletions(ledger));
  ledger.setMeta(HELD, 0);
}

/**
 * Whether a person let this node's deletions through at the control plane since they are held: one answer is enough for this machine
 * and for all that it tells.
 */
export function isLetThrough({ ledger, membership, identity }: SyncSession): boolean {
  if (heldDeletions(ledger) === 0) return false;
  const since = Number(ledger.meta(HELD_SINCE) ?? Number.POSITIVE_INFINITY);
  return membership?.deletions.some(({ node, until }) => node === identity.node && until >= since) === true;
}

/**
 * Uses up what was approved: an approval is for the deletions that were there when it was given, not for the next ones.
 * @param deletions how many of them were just believed; all, when every row was looked at
 */
export function spendApproval(ledger: Ledger, deletions: number): void {
  const approved = Number(ledger.meta(APPROVED) ?? 0);
  if (approved > 0) ledger.setMeta(APPROVED, Math.max(0, approved - deletions));
}

/**
 * Refuses to send while deletions are held: a database that lost so much may have lost more.
 * @throws MembridgeError memory_guarded, with what to do
 */
export function refuseWhileHeld(context: { db: Database.Database; ledger: Ledger }, path: string): void {
  if (heldDeletions(context.ledger) === 0 || checkDeletions(context)) return;
  const check = context.db.pragma('quick_check(1)', { simple: true }) as string;
  const sound = check === 'ok' ? 'SQLite finds the file sound' : `SQLite finds it damaged (${check})`;
  throw new MembridgeError(
    'memory_guarded',
    `${heldDeletions(context.ledger)} memories are gone from ${path} since the last sync; ${sound}. Nothing was sent. ` +
      'If they were deleted on purpose: membridge deletes approve. To have them back from the fleet: membridge deletes restore.',
  );
}
