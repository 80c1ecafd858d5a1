import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MarkedRow } from '../claude-mem/audit-reader.ts';
import type { RowRange } from '../claude-mem/row-watch.ts';
import { checkDeletions, countHeldDeletions, spendApproval } from './guard.ts';
import { KINDS, SHAPES, type Kind } from '../format/kinds.ts';
import { BLOCK_ROWS } from '../ledger/blocks.ts';
import { nameRow } from './scan.ts';
import { findKept } from '../merge/kept-twin.ts';
import { isShort } from './marks.ts';
import type { SyncSession } from '../session.ts';

/** Dependencies of an audit. */
export type AuditContext = Pick<
  SyncSession,
  'db' | 'reader' | 'auditReader' | 'watch' | 'ledger' | 'changes'
>;

/** The findings of an audit. */
export interface Audited {
  readonly rows: number;
  readonly changed: number;
  readonly deleted: number;
}

/** Results collected so far. */
interface Auditing {
  rows: number;
  changed: number;
  /** Rows that no longer exist. */
  readonly gone: { readonly kind: Kind; readonly row: number }[];
}

const beginAudit = (): Auditing => ({ rows: 0, changed: 0, gone: [] });

/** Rows compared per read transaction: about 10 ms. */
const PAGE_ROWS = 1_000;

/** Blocks compared before the event loop gets a turn. */
const BLOCKS_A_TURN = 4;

/** How many of the newest rows of each kind the watch compares periodically: more than a day of heavy use. */
const DAY_ROWS = 2_000;

/**
 * Compares rows with their marks. Rows above the last scanned id are new; the scan names them.
 * @param after the local id before the first row
 * @param to the last local id
 */
function compareRows(
  context: AuditContext,
  kind: Kind,
  { rows, after, to }: { rows: readonly MarkedRow[]; after: number; to: number },
  audited: Auditing,
): { differing: number } {
  const { reader, ledger, changes } = context;
  const { changed, gone, short } = compareToMarks(kind, rows, ledger.marks.readRange(kind, after, to));
  audited.rows += rows.length;
  if (changed.length + gone.length + short.length === 0) return { differing: 0 };
  ledger.atomically(() => {
    // Marks of an earlier version cover fewer columns; the columns that they cover agree.
    for (const { id, mark } of short) ledger.marks.set(kind, id, mark);
    for (const id of changed) {
      const row = reader.byId(kind, id);
      if (row === null) continue;
      if (ledger.marks.get(kind, id) === null) {
        nameRow(context, row);
        // The row lies below the ids already considered for sending: someone chose its id, or ids restarted
        // at 1.
        changes.queueForNewSpaces(kind, id);
      } else if (changes.notice(row)) audited.changed += 1;
    }
  });
  gone.forEach((row) => audited.gone.push({ kind, row }));
  return { differing: changed.length + gone.length };
}

/** Records the rows that were found missing. Runs last, when it is known which rows like them still exist. */
function buryGone(context: AuditContext, audited: Auditing): Audited {
  const { rows, changed, gone } = audited;
  let deleted = 0;
  if (gone.length > 0) {
    const { reader, ledger, changes } = context;
    ledger.atomically(() => {
      if (!checkDeletions(context)) return;
      for (const kind of KINDS) {
        // A row may have been written between the two reads.
        const ids = gone.filter((each) => each.kind === kind && reader.byId(kind, each.row) === null);
        const kept = findKept(
          context,
          kind,
          ids.map(({ row }) => row),
        );
        for (const { row } of ids) changes.bury(kind, row, kept.get(row));
        deleted += ids.length;
      }
      spendApproval(ledger, deleted);
    });
  }
  return { rows, changed, deleted };
}

/**
 * Compares one page of rows, starting after a local id.
 * @returns where the next page begins, null after the last
 */
function auditPage(
  context: AuditContext,
  kind: Kind,
  range: { after: number; to: number },
  limit: number,
  audited: Auditing,
): number | null {
  const { db, auditReader, ledger } = context;
  const { after } = range;
  const high = Math.min(range.to, ledger.highestRow(kind));
  if (after >= high) return null;
  // Local ids are integers, so a range holds at most as many rows as ids.
  const most = Math.min(limit, high - after);
  const found = db.transaction(() => auditReader.readAfter(kind, after, most))();
  const rows = found.filter((row) => row.id <= high);
  const last = found.length < most || rows.length < found.length ? null : (rows.at(-1)?.id ?? null);
  compareRows(context, kind, { rows, after, to: last ?? high }, audited);
  return last;
}

/**
 * Returns the rows that differ from their marks, those that are missing, and those whose mark is of an older,
 * shorter form.
 */
function compareToMarks(
  kind: Kind,
  rows: readonly MarkedRow[],
  marks: readonly { row: number; mark: Buffer }[],
): { changed: number[]; gone: number[]; short: MarkedRow[] } {
  const changed: number[] = [];
  const gone: number[] = [];
  const short: MarkedRow[] = [];
  let at = 0;
  for (const { id, mark } of rows) {
    for (let known = marks[at]; known !== undefined && known.row < id; known = marks[at]) {
      gone.push(known.row);
      at += 1;
    }
    const known = marks[at];
    if (known?.row !== id) {
      changed.push(id);
      continue;
    }
    at += 1;
    if (known.mark.equals(mark)) continue;
    if (isShort(kind, known.mark) && mark.subarray(0, known.mark.length).equals(known.mark))
      short.push({ id, mark });
    else changed.push(id);
  }
  for (const { row } of marks.slice(at)) gone.push(row);
  return { changed, gone, short };
}

/** Compares the newest rows of each kind, which claude-mem may still change. */
export function auditRecent(context: AuditContext): Audited {
  const audited = beginAudit();
  for (const kind of KINDS) {
    const from = context.db
      .prepare(`SELECT id FROM ${SHAPES[kind].table} ORDER BY id DESC LIMIT 1 OFFSET ?`)
      .pluck()
      .get(DAY_ROWS - 1) as number | undefined;
    auditPage(context, kind, { after: (from ?? 1) - 1, to: Infinity }, DAY_ROWS + 1, audited);
  }
  return buryGone(context, audited);
}

/**
 * Compares the rows that were changed or deleted since the last look, wherever they are (row-watch.ts).
 * Compares all rows when the watch cannot name them, or while deletions are held.
 */
export async function auditChanged(context: AuditContext, signal: AbortSignal): Promise<Audited> {
  const { watch, ledger } = context;
  const { ranges, position } = watch.look();
  const audited = beginAudit();
  if (ranges === 'any' || countHeldDeletions(ledger) > 0) await compareAll(context, signal, audited);
  else await compareRanges(context, ranges, signal, audited);
  const found = buryGone(context, audited);
  watch.accept(position);
  return found;
}

async function compareRanges(
  context: AuditContext,
  ranges: readonly RowRange[],
  signal: AbortSignal,
  audited: Auditing,
): Promise<void> {
  for (const { kind, after, to } of ranges) {
    for (let from: number | null = after; from !== null;) {
      signal.throwIfAborted();
      from = auditPage(context, kind, { after: from, to }, PAGE_ROWS, audited);
      if (from !== null) await nextTurn();
    }
  }
}

/** Compares every row with its mark. */
export async function auditAll(context: AuditContext, signal: AbortSignal): Promise<Audited> {
  const audited = beginAudit();
  await compareAll(context, signal, audited);
  const found = buryGone(context, audited);
  spendApproval(context.ledger, Infinity);
  return found;
}

/**
 * Compares all rows, block by block. Leaves out blocks whose digest is unchanged since all their rows matched
 * their marks.
 */
async function compareAll(context: AuditContext, signal: AbortSignal, audited: Auditing): Promise<void> {
  for (const kind of KINDS) {
    const high = context.ledger.highestRow(kind);
    for (let block = 0; block * BLOCK_ROWS <= high; block += 1) {
      signal.throwIfAborted();
      compareBlock(context, kind, block, high, audited);
      if (block % BLOCKS_A_TURN === 0) await nextTurn();
    }
  }
}

function compareBlock(
  context: AuditContext,
  kind: Kind,
  block: number,
  high: number,
  audited: Auditing,
): void {
  const { db, auditReader, ledger } = context;
  const after = block * BLOCK_ROWS - 1;
  const to = Math.min(after + BLOCK_ROWS, high);
  const known = ledger.blocks.get(kind, block);
  // One transaction, so that the digest describes exactly these rows.
  const { digest, rows } = db.transaction(() => {
    if (known === null) return auditReader.readRange(kind, after, to);
    const now = auditReader.digestRange(kind, after, to);
    if (now.digest === null || !known.equals(now.digest)) return auditReader.readRange(kind, after, to);
    audited.rows += now.rows;
    return { digest: now.digest, rows: null };
  })();
  if (rows === null) return;
  const { differing } = compareRows(context, kind, { rows, after, to }, audited);
  // A block that differed is compared again next time: handling the difference may not have finished.
  if (differing > 0 || digest === null) return;
  ledger.atomically(() => ledger.blocks.set(kind, block, digest));
}

/** Ledger entry that holds the position of the rolling audit. */
const POSITION_ENTRY = 'audit:place';

/**
 * Continues the rolling audit for about `ms` milliseconds, page by page.
 * @param limit rows per page
 * @returns whether it finished a round over the whole database, and what it found
 */
export function auditFor(
  context: AuditContext,
  { ms, limit }: { ms: number; limit: number },
): { ended: boolean; found: Audited } {
  const until = performance.now() + ms;
  const audited = beginAudit();
  let ended = false;
  while (!ended && performance.now() < until) ended = auditSlice(context, limit, audited);
  return { ended, found: buryGone(context, audited) };
}

function auditSlice(context: AuditContext, limit: number, audited: Auditing): boolean {
  const { ledger } = context;
  const [code = '0', row = '0'] = String(ledger.meta(POSITION_ENTRY) ?? '0/0').split('/');
  const index = Number(code);
  const kind = KINDS[index] ?? 'session';
  const next = auditPage(context, kind, { after: Number(row), to: Infinity }, limit, audited);
  const ended = next === null && index + 1 >= KINDS.length;
  ledger.setMeta(POSITION_ENTRY, next === null ? `${ended ? 0 : index + 1}/0` : `${index}/${next}`);
  return ended;
}
