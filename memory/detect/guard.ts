import type Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import { KINDS, SHAPES } from '../format/kinds.ts';
import type { SyncSession } from '../session.ts';
import type { Ledger } from '../ledger/ledger.ts';

/**
 * Deletions accepted without approval: up to this many rows, or the given share of all rows if that is more.
 */
const MAX_UNAPPROVED_ROWS = 50;
const MAX_UNAPPROVED_SHARE = 0.01;

/** Ledger entries for the number of approved deletions and of those that wait. */
const APPROVED_ENTRY = 'deletes:approved';
const HELD_ENTRY = 'deletes:held';
/** Since when deletions have waited, epoch milliseconds. */
const HELD_SINCE_ENTRY = 'deletes:held-since';

interface Missing {
  readonly missing: number;
  readonly rows: number;
}

/** Returns how many recorded rows no longer exist. */
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
 * Returns whether the deletions found may be sent to the fleet. More than 50 rows and more than 1 % of the
 * database gone at once look like an accident; they are held until a person decides.
 */
export function checkDeletions(context: { db: Database.Database; ledger: Ledger }): boolean {
  const { ledger } = context;
  const { missing, rows } = countMissing(context.db, ledger);
  const believed = Math.max(
    MAX_UNAPPROVED_ROWS,
    rows * MAX_UNAPPROVED_SHARE,
    Number(ledger.meta(APPROVED_ENTRY) ?? 0),
  );
  const isHeld = missing > believed;
  if (isHeld && countHeldDeletions(ledger) === 0) ledger.setMeta(HELD_SINCE_ENTRY, Date.now());
  ledger.setMeta(HELD_ENTRY, isHeld ? missing : 0);
  if (!isHeld && missing === 0) ledger.setMeta(APPROVED_ENTRY, 0);
  return !isHeld;
}

/** Returns how many deletions wait for a person to approve them, 0 for none. */
export function countHeldDeletions(ledger: Ledger): number {
  return Number(ledger.meta(HELD_ENTRY) ?? 0);
}

/** Approves the held deletions. */
export function approveDeletions(ledger: Ledger): void {
  ledger.setMeta(APPROVED_ENTRY, countHeldDeletions(ledger));
  ledger.setMeta(HELD_ENTRY, 0);
}

/**
 * Returns whether a person approved this node's deletions at the control plane after they were held. One
 * approval covers this machine and the fleet.
 */
export function isAllowedByMembership({ ledger, membership, identity }: SyncSession): boolean {
  if (countHeldDeletions(ledger) === 0) return false;
  const since = Number(ledger.meta(HELD_SINCE_ENTRY) ?? Number.POSITIVE_INFINITY);
  return membership?.deletions.some(({ node, until }) => node === identity.node && until >= since) === true;
}

/**
 * Consumes the approval: it covers the deletions that existed when it was given, not later ones.
 * @param deletions how many of them were just accepted; all, when every row was looked at
 */
export function spendApproval(ledger: Ledger, deletions: number): void {
  const approved = Number(ledger.meta(APPROVED_ENTRY) ?? 0);
  if (approved > 0) ledger.setMeta(APPROVED_ENTRY, Math.max(0, approved - deletions));
}

/**
 * Refuses to send while deletions are held: a database that lost this much may have lost more.
 * @throws MembridgeError memory_guarded, with what to do
 */
export function refuseWhileHeld(context: { db: Database.Database; ledger: Ledger }, path: string): void {
  if (countHeldDeletions(context.ledger) === 0 || checkDeletions(context)) return;
  const check = context.db.pragma('quick_check(1)', { simple: true }) as string;
  const sound = check === 'ok' ? 'SQLite finds the file sound' : `SQLite finds it damaged (${check})`;
  throw new MembridgeError(
    'memory_guarded',
    `${countHeldDeletions(context.ledger)} memories are gone from ${path} since the last sync; ${sound}. Nothing was sent. ` +
      'If they were deleted on purpose: membridge deletes approve. To have them back from the fleet: membridge deletes restore.',
  );
}
