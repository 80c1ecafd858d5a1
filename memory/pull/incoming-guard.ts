import { z } from 'zod';
import { KINDS } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { StagedSegment } from '../ledger/inbox.ts';
import type { Membership } from '../../contract/memory/membership.ts';
import { letsThrough } from '../space/membership.ts';
import type { Operation } from '../format/operation.ts';
import type { SyncSession } from '../session.ts';
import { timeOf } from '../format/versions.ts';
import type { Value } from '../format/values.ts';

/**
 * Deletions of one node in two days that are believed without asking: up to this many memories, or this share of all that are here if
 * that is more. Twice what a node tells without asking its own person (guard.ts), since others may have fewer memories than it.
 */
const BELIEVED_ROWS = 100;
const BELIEVED_SHARE = 0.02;
/** Bytes, unpacked, that are taken from one node in two days without asking (4 GiB): the first push of a million memories has 1 to 2 GB. */
const BELIEVED_BYTES = 4 * 2 ** 30;
const DAY_MS = 86_400_000;

/** What a node sent on a day: memories that it deleted here, and bytes. */
const Day = z.object({ deleted: z.number().int(), bytes: z.number().int() });
type Day = z.infer<typeof Day>;
const Tally = z.object({
  /** The newest segment that is in the tally: one that is begun again after a crash counts once. */
  counted: z.number().int(),
  /** By node, then by the day on which the store took its segments. */
  nodes: z.record(z.string(), z.record(z.string(), Day)),
});
const NOTHING = JSON.stringify({ counted: 0, nodes: {} });
const tallyName = (space: number): string => `sent-by:${space}`;

/**
 * Judges what a segment would delete here, and how much its node sends, before any of it is applied.
 * @param cid the space's canonical id
 * @param read the segment's operations, and how many bytes they have unpacked
 * @returns why it must wait for a person, or null when it may be applied; then it is counted
 */
export function judgeSegment(
  { ledger, membership }: Pick<SyncSession, 'ledger' | 'membership'>,
  { space, cid }: { space: number; cid: string },
  segment: StagedSegment,
  read: { readonly operations: readonly Operation[]; readonly bytes: number },
): string | null {
  // A segment whose merge has begun was judged before.
  if (membership === null || segment.done > 0) return null;
  const tally = Tally.parse(JSON.parse(String(ledger.meta(tallyName(space)) ?? NOTHING)));
  if (segment.id <= tally.counted) return null;
  const { node, stored: at } = segment;
  const today = Math.floor(at / DAY_MS);
  const ofNode = tally.nodes[node] ?? {};
  const before = [ofNode[today], ofNode[today - 1]].filter((day) => day !== undefined);
  const isSnapshot = segment.epoch.startsWith('snap');
  const operations = isSnapshot ? notLetThrough(membership, cid, read.operations) : read.operations;
  const deleted = operations.filter(({ type, key }) => type === 'delete' && isHere(ledger, key)).length;
  // A snapshot holds what all nodes ever sent.
  const sent = { deleted, bytes: isSnapshot ? 0 : read.bytes };
  const all = [...before, sent].reduce(add);
  const problem = letsThrough(membership, { cid, node, at })
    ? null
    : (problemOf(ledger, sent, all) ?? futureOf(membership, { cid, node, at }, operations));
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
  ledger.setMeta(tallyName(space), JSON.stringify({ counted: segment.id, nodes }));
  return null;
}

/** A snapshot's operations without those of nodes that a person had let through when they wrote them. */
function notLetThrough(
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

/** What is too much of what a node sent in two days; null when nothing is. */
function problemOf(ledger: Ledger, sent: Day, all: Day): string | null {
  if (all.bytes > BELIEVED_BYTES) return `sends ${Math.round(all.bytes / 2 ** 20)} MiB within two days`;
  if (sent.deleted === 0) return null;
  const rows = KINDS.reduce((sum, kind) => sum + ledger.marks.count(kind), 0);
  const isTooMuch = all.deleted > Math.max(BELIEVED_ROWS, rows * BELIEVED_SHARE);
  return isTooMuch ? `deletes ${all.deleted} of the ${rows} memories here within two days` : null;
}

/**
 * What of a segment is dated later than a day after the store took it, or has no possible date: claude-mem would show it first for ever.
 * The store's clock is the one that all nodes agree on. A machine whose clock is wrong asks a person once: who let something of it
 * through has seen its dates.
 */
function futureOf(
  membership: Membership,
  { cid, node, at }: { cid: string; node: string; at: number },
  operations: readonly Operation[],
): string | null {
  if (membership.deletions.some((each) => each.space === cid && each.node === node)) return null;
  const dates = operations.flatMap((operation) =>
    operation.type === 'full' ? DATES.map((column) => operation.set[column] ?? null) : [],
  );
  const wrong = dates.filter((date) => date !== null && !isPossible(date, at + DAY_MS)).length;
  return wrong === 0
    ? null
    : `dates ${wrong} memories later than a day after they came in; perhaps its clock is wrong`;
}

/** The columns by which claude-mem and our hints sort. */
const DATES = ['created_at_epoch', 'started_at_epoch'];
const isPossible = (date: Value, latest: number): boolean => typeof date === 'number' && date <= latest;

function isHere(ledger: Ledger, key: Buffer): boolean {
  const entity = ledger.entities.byKey(key);
  return entity !== null && !entity.dead && entity.row !== null;
}
