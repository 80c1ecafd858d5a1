import { z } from 'zod';
import { KINDS } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { StagedSegment } from '../ledger/inbox.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import { isAllowed } from '../space/membership.ts';
import type { Operation } from '../format/operation.ts';
import type { SyncSession } from '../session.ts';
import { timeOf } from '../format/versions.ts';
import type { Value } from '../format/values.ts';

/**
 * Limits of one node's deletions in two days that are accepted without approval. The greater one applies:
 * this many memories, or this share of those here. Twice what a node sends without asking (guard.ts), because
 * other nodes may hold fewer memories.
 */
const MAX_UNAPPROVED_ROWS = 100;
const MAX_UNAPPROVED_SHARE = 0.02;
/**
 * Unpacked bytes accepted from one node in two days without approval (4 GiB). The first push of a million
 * memories has 1 to 2 GB.
 */
const MAX_BYTES = 4 * 2 ** 30;
const DAY_MS = 86_400_000;

/** A node's total of one day: memories that it deleted here, and bytes. */
const Day = z.object({ deleted: z.number().int(), bytes: z.number().int() });
type Day = z.infer<typeof Day>;
const Tally = z.object({
  /** The newest counted segment: one whose merge is repeated after a crash counts once. */
  counted: z.number().int(),
  /** By node, then by the day on which the store received its segments. */
  nodes: z.record(z.string(), z.record(z.string(), Day)),
});
const EMPTY_TALLY = JSON.stringify({ counted: 0, nodes: {} });
const tallyEntry = (space: number): string => `sent-by:${space}`;

/**
 * Checks how much a segment would delete here and how much its node sends, before any of it is applied.
 * Counts the segment if it may be applied.
 * @param cid the space's canonical id
 * @param read the segment's operations, and their unpacked bytes
 * @returns why it must wait for a person, or null when it may be applied
 */
export function judgeSegment(
  { ledger, membership }: Pick<SyncSession, 'ledger' | 'membership'>,
  { space, cid }: { space: number; cid: string },
  segment: StagedSegment,
  read: { readonly operations: readonly Operation[]; readonly bytes: number },
): string | null {
  // A segment whose merge has begun was judged before.
  if (membership === null || segment.done > 0) return null;
  const tally = Tally.parse(JSON.parse(String(ledger.meta(tallyEntry(space)) ?? EMPTY_TALLY)));
  if (segment.id <= tally.counted) return null;
  const { node, stored: at } = segment;
  const today = Math.floor(at / DAY_MS);
  const ofNode = tally.nodes[node] ?? {};
  const before = [ofNode[today], ofNode[today - 1]].filter((day) => day !== undefined);
  const isSnapshot = segment.epoch.startsWith('snap');
  const operations = isSnapshot ? withoutAllowed(membership, cid, read.operations) : read.operations;
  const deleted = operations.filter(({ type, key }) => type === 'delete' && isHere(ledger, key)).length;
  // A snapshot holds the writes of all nodes, so its bytes say nothing about its sender.
  const sent = { deleted, bytes: isSnapshot ? 0 : read.bytes };
  const all = [...before, sent].reduce(add);
  const problem = isAllowed(membership, { cid, node, at })
    ? null
    : (exceededLimit(ledger, sent, all) ?? describeFuture(membership, { cid, node, at }, operations));
  if (problem !== null) {
    const what = isSnapshot ? 'its snapshot' : `segment ${segment.seq}`;
    return `${node} ${problem}. Nothing of ${what} was merged. If that was on purpose, let it through on the page (Membridge, the space, settings of ${node}).`;
  }
  const days: Record<string, Day> = {
    [today]: [ofNode[today], sent].filter((day) => day !== undefined).reduce(add),
  };
  const yesterday = ofNode[today - 1];
  if (yesterday !== undefined) days[today - 1] = yesterday;
  const nodes = { ...tally.nodes, [node]: days };
  ledger.setMeta(tallyEntry(space), JSON.stringify({ counted: segment.id, nodes }));
  return null;
}

/** Returns a snapshot's operations except those written before a person accepted their node's deletions. */
function withoutAllowed(
  { deletions }: Membership,
  cid: string,
  operations: readonly Operation[],
): readonly Operation[] {
  return operations.filter(
    ({ version: { node, hlc } }) =>
      !deletions.some((each) => each.space === cid && each.node === node && timeOf(hlc) <= each.until),
  );
}

const add = (a: Day, b: Day): Day => ({ deleted: a.deleted + b.deleted, bytes: a.bytes + b.bytes });

/** Returns which limit a node exceeded in two days; null when it exceeded none. */
function exceededLimit(ledger: Ledger, sent: Day, all: Day): string | null {
  if (all.bytes > MAX_BYTES) return `sends ${Math.round(all.bytes / 2 ** 20)} MiB within two days`;
  if (sent.deleted === 0) return null;
  const rows = KINDS.reduce((sum, kind) => sum + ledger.marks.count(kind), 0);
  const isTooMuch = all.deleted > Math.max(MAX_UNAPPROVED_ROWS, rows * MAX_UNAPPROVED_SHARE);
  return isTooMuch ? `deletes ${all.deleted} of the ${rows} memories here within two days` : null;
}

/**
 * Returns the end of a sentence with the number of wrong dates; null when there are none. A wrong date is
 * impossible, or more than a day after the store received the operation. Such memories would stay first in
 * claude-mem's lists forever. All nodes agree on the store's clock. A machine with a wrong clock needs a
 * person's approval only once, because that person has seen its dates.
 */
function describeFuture(
  membership: Membership,
  { cid, node, at }: { cid: string; node: string; at: number },
  operations: readonly Operation[],
): string | null {
  if (membership.deletions.some((each) => each.space === cid && each.node === node)) return null;
  const dates = operations.flatMap((operation) =>
    operation.type === 'full' ? DATE_COLUMNS.map((column) => operation.set[column] ?? null) : [],
  );
  const wrong = dates.filter((date) => date !== null && !isPossible(date, at + DAY_MS)).length;
  return wrong === 0
    ? null
    : `dates ${wrong} memories later than a day after they came in; perhaps its clock is wrong`;
}

/** The columns by which claude-mem and our hints sort. */
const DATE_COLUMNS = ['created_at_epoch', 'started_at_epoch'];
const isPossible = (date: Value, latest: number): boolean => typeof date === 'number' && date <= latest;

function isHere(ledger: Ledger, key: Buffer): boolean {
  const entity = ledger.entities.byKey(key);
  return entity !== null && !entity.dead && entity.row !== null;
}
