import { and, desc, eq, inArray, sql } from 'drizzle-orm';
import type { SyncRoundResult } from '../../contract/workflows.ts';
import type { Executor } from '../connect.ts';
import { finishedDetail, isComplete } from '../round-detail.ts';
import { jobs, spaceNodes } from '../schema.ts';

/** A node's round that ended at `finishedAt`, epoch milliseconds. */
interface NodeRound {
  readonly node: string;
  readonly result: SyncRoundResult;
  readonly finishedAt: number;
}

/** Returns a round's traffic as columns of a job. */
export function trafficOf({ push, pull }: SyncRoundResult) {
  const sum = (field: 'requests' | 'bytesUp' | 'bytesDown'): number =>
    (push?.traffic[field] ?? 0) + (pull?.traffic[field] ?? 0);
  return { requests: sum('requests'), bytes_up: sum('bytesUp'), bytes_down: sum('bytesDown') };
}

/**
 * Adds rounds to their nodes' totals in a space, and updates each node's state there, in one statement.
 * Leaves out a node without a record, because it or the space was deleted.
 * @param rounds in the order in which they ended
 */
export async function updateSpaceNodes(
  tx: Executor,
  cid: string,
  rounds: readonly NodeRound[],
): Promise<void> {
  const ofNode = Map.groupBy(rounds, ({ node }) => node);
  const records = await tx
    .select({ node: spaceNodes.node_id, status: spaceNodes.status })
    .from(spaceNodes)
    .where(and(eq(spaceNodes.cid, cid), inArray(spaceNodes.node_id, [...ofNode.keys()])));
  const changes = [];
  for (const { node, status } of records) {
    const change = changeOf(ofNode.get(node) ?? []);
    if (change === null) continue;
    const { isDone, push, pull } = change;
    // A node that is in step has no failed half.
    const failed =
      isDone && status !== 'in-step' ? await failureOfOther(tx, { cid, node, push, pull }) : null;
    changes.push({
      ...change.figures,
      node,
      status: isDone && failed === null ? 'in-step' : 'failed',
      detail: failed ?? change.detail,
    });
  }
  if (changes.length === 0) return;
  await tx.execute(sql`
    update ${spaceNodes} as was set
      status = now.status,
      detail = now.detail,
      rows_sent = was.rows_sent + now.rows_sent,
      rows_received = was.rows_received + now.rows_received,
      bytes_up = was.bytes_up + now.bytes_up,
      bytes_down = was.bytes_down + now.bytes_down,
      last_push_at = coalesce(now.last_push_at, was.last_push_at),
      last_pull_at = coalesce(now.last_pull_at, was.last_pull_at),
      head_epoch = coalesce(now.head_epoch, was.head_epoch),
      head_seq = coalesce(now.head_seq, was.head_seq)
    from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb) as now(
      node text, status text, detail text, rows_sent bigint, rows_received bigint, bytes_up bigint, bytes_down bigint,
      last_push_at bigint, last_pull_at bigint, head_epoch text, head_seq bigint)
    where was.cid = ${cid} and was.node_id = now.node`);
}

/**
 * Returns the combined change of a node's rounds: sums, the newest times and head, and the last round's
 * message.
 */
function changeOf(rounds: readonly NodeRound[]) {
  const last = rounds.at(-1);
  if (last === undefined) return null;
  const sum = (of: (result: SyncRoundResult) => number): number =>
    rounds.reduce((total, { result }) => total + of(result), 0);
  const pushed = rounds.findLast(({ result }) => result.push !== null);
  const pulled = rounds.findLast(({ result }) => result.pull !== null);
  const head = rounds.findLast(({ result }) => result.push?.head != null)?.result.push?.head;
  return {
    isDone: isComplete(last.result),
    detail: finishedDetail(last.result),
    push: pushed !== undefined,
    pull: pulled !== undefined,
    figures: {
      rows_sent: sum(({ push }) => push?.rows ?? 0),
      rows_received: sum(({ pull }) => (pull?.inserted ?? 0) + (pull?.updated ?? 0)),
      bytes_up: sum((result) => trafficOf(result).bytes_up),
      bytes_down: sum((result) => trafficOf(result).bytes_down),
      last_push_at: pushed?.finishedAt ?? null,
      last_pull_at: pulled?.finishedAt ?? null,
      head_epoch: head?.epoch ?? null,
      head_seq: head?.seq ?? null,
    },
  };
}

/**
 * Returns the last failure of the direction that these rounds did not cover: a successful push says nothing
 * about a failed pull.
 * @returns null when that direction succeeded since, or never failed
 */
async function failureOfOther(
  tx: Executor,
  { cid, node, push, pull }: { cid: string; node: string; push: boolean; pull: boolean },
): Promise<string | null> {
  if (push && pull) return null;
  const [last] = await tx
    .select()
    .from(spaceNodes)
    .where(and(eq(spaceNodes.cid, cid), eq(spaceNodes.node_id, node)));
  const doneAt = (push ? last?.last_pull_at : last?.last_push_at) ?? 0;
  const [job] = await tx
    .select({ detail: jobs.detail, finishedAt: jobs.finished_at })
    .from(jobs)
    .where(
      and(
        eq(jobs.canonical_id, cid),
        eq(jobs.agent, node),
        eq(jobs.status, 'failed'),
        inArray(jobs.action, [push ? 'pull' : 'push', 'sync']),
      ),
    )
    .orderBy(desc(jobs.finished_at))
    .limit(1);
  return job !== undefined && (job.finishedAt ?? 0) > doneAt ? job.detail : null;
}
