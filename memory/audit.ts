import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MarkedRow } from './claude-mem/audit-reader.ts';
import { checkDeletions, spendApproval } from './guard.ts';
import { KINDS, SHAPES, type Kind } from './kinds.ts';
import { nameRow } from './scan.ts';
import type { SyncSession } from './session.ts';

/** What an audit works with. */
export type AuditContext = Pick<SyncSession, 'db' | 'reader' | 'auditReader' | 'ledger' | 'changes'>;

/** What an audit found. */
export interface Audited {
  rows: number;
  changed: number;
  deleted: number;
}

/** Rows compared per read transaction: some 10 ms. */
const PAGE = 1_000;

/** How many of the newest rows of each kind are compared before every push. */
const RECENT_ROWS = 64;

/** How many of the newest rows of each kind the watch compares every now and then: more than a day of heavy use. */
const DAY_ROWS = 2_000;

/** Compares rows with their marks from one local id on. @returns where the next page begins, null after the last */
function auditPage(
  context: AuditContext,
  kind: Kind,
  from: number,
  limit: number,
  audited: Audited,
): number | null {
  const { db, reader, auditReader, ledger, changes } = context;
  const high = ledger.highestRow(kind);
  const found = db.transaction(() => auditReader.after(kind, from, limit))();
  // Rows above the last one looked at are new: naming them is the scan's work.
  const rows = found.filter((row) => row.id <= high);
  const last = found.length < limit || rows.length < found.length ? null : (rows.at(-1)?.id ?? null);
  const differing = differences(rows, ledger.marks.range(kind, from, last ?? high));
  audited.rows += rows.length;
  if (differing.changed.length > 0 || differing.gone.length > 0) {
    ledger.atomically(() => {
      for (const id of differing.changed) {
        const row = reader.byId(kind, id);
        if (row === null) continue;
        if (ledger.marks.get(kind, id) === null) {
          nameRow(reader, ledger, changes, row);
          // It lies below what was considered for sending: somebody gave it its id, or ids began anew.
          changes.offer(kind, id);
        } else if (changes.notice(row)) audited.changed += 1;
      }
      if (differing.gone.length === 0 || !checkDeletions(context)) return;
      const before = audited.deleted;
      for (const row of differing.gone) {
        // It may have been written between the two readings.
        if (reader.byId(kind, row) !== null) continue;
        changes.bury(kind, row);
        audited.deleted += 1;
      }
      spendApproval(ledger, audited.deleted - before);
    });
  }
  return last;
}

function differences(
  rows: readonly MarkedRow[],
  marks: readonly { row: number; mark: Buffer }[],
): { changed: number[]; gone: number[] } {
  const changed: number[] = [];
  const gone: number[] = [];
  let at = 0;
  for (const { id, mark } of rows) {
    for (let known = marks[at]; known !== undefined && known.row < id; known = marks[at]) {
      gone.push(known.row);
      at += 1;
    }
    const known = marks[at];
    if (known?.row === id) {
      if (!known.mark.equals(mark)) changed.push(id);
      at += 1;
    } else changed.push(id);
  }
  for (const { row } of marks.slice(at)) gone.push(row);
  return { changed, gone };
}

/** Compares the newest rows of each kind: the ones that claude-mem still works on. */
export function auditRecent(context: AuditContext, depth: 'push' | 'day'): Audited {
  const audited: Audited = { rows: 0, changed: 0, deleted: 0 };
  const rows = depth === 'push' ? RECENT_ROWS : DAY_ROWS;
  for (const kind of KINDS) {
    const from = context.db
      .prepare(`SELECT id FROM ${SHAPES[kind].table} ORDER BY id DESC LIMIT 1 OFFSET ?`)
      .pluck()
      .get(rows - 1) as number | undefined;
    auditPage(context, kind, (from ?? 1) - 1, rows + 1, audited);
  }
  return audited;
}

/** Compares every row with its mark. */
export async function auditAll(context: AuditContext, signal: AbortSignal): Promise<Audited> {
  const audited: Audited = { rows: 0, changed: 0, deleted: 0 };
  for (const kind of KINDS) {
    for (let from: number | null = 0; from !== null;) {
      signal.throwIfAborted();
      from = auditPage(context, kind, from, PAGE, audited);
      await nextTurn();
    }
  }
  spendApproval(context.ledger, Infinity);
  return audited;
}

/** Where the rolling audit stands, in the ledger. */
const PLACE = 'audit:place';

/**
 * Goes on with the rolling audit for one page of rows.
 * @returns whether that ended a round over the whole database
 */
export function auditSlice(context: AuditContext, limit: number, audited: Audited): boolean {
  const { ledger } = context;
  const [code = '0', row = '0'] = String(ledger.meta(PLACE) ?? '0/0').split('/');
  const index = Number(code);
  const kind = KINDS[index] ?? 'session';
  const next = auditPage(context, kind, Number(row), limit, audited);
  const ended = next === null && index + 1 >= KINDS.length;
  ledger.setMeta(PLACE, next === null ? `${ended ? 0 : index + 1}/0` : `${index}/${next}`);
  return ended;
}
