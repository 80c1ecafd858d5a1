import { and, eq, isNull, or, sql } from 'drizzle-orm';
import { INLINE_BYTES } from '../../contract/tasks/runs.ts';
import { takesPart } from '../../contract/memory/taking-part.ts';
import { DEFAULT_POOL } from '../../contract/tasks/tasks.ts';
import type { Database } from '../connect.ts';
import {
  leaderships,
  leases,
  llmTasks,
  nodes,
  projectNodeStatus,
  proposals,
  runtimeArtifacts,
  spaces,
} from '../schema.ts';

/** A node's relation to one space. */
export interface NodeInSpace {
  readonly takesPart: boolean;
  /** The leadership epoch in which it is primary now; null while it is not. */
  readonly primaryEpoch: number | null;
}

/**
 * Returns a node's relation to a space. A space that does not exist has no members.
 * @param input.now epoch milliseconds
 */
export async function findNodeInSpace(
  db: Database,
  input: { node: string; cid: string; now: number },
): Promise<NodeInSpace> {
  const { node, cid, now } = input;
  const [row] = await db.run((executor) =>
    executor
      .select({
        allowed: sql<string[] | null>`${nodes.facts}->'spaces'`,
        name: spaces.name,
        primary: leaderships.primary_node_id,
        epoch: leaderships.epoch,
        expiresAt: leaderships.expires_at,
      })
      .from(nodes)
      .innerJoin(spaces, eq(spaces.cid, cid))
      .leftJoin(leaderships, eq(leaderships.cid, cid))
      .where(eq(nodes.id, node)),
  );
  if (row === undefined) return { takesPart: false, primaryEpoch: null };
  const isPrimary = row.primary === node && (row.expiresAt ?? 0) > now;
  return {
    takesPart: takesPart(row.allowed ?? undefined, { cid, name: row.name }),
    primaryEpoch: isPrimary ? row.epoch : null,
  };
}

/**
 * Returns the largest output limit, in bytes, of the tasks that a node holds leases of; 0 while it holds
 * none.
 */
export async function findOutputLimit(db: Database, input: { node: string }): Promise<number> {
  const [held] = await db.run((executor) =>
    executor
      .select({ kilobytes: sql<number | null>`max((${llmTasks.policy}->>'output_kb')::int)` })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .where(leaseCondition(input.node)),
  );
  return (held?.kilobytes ?? 0) * 1_024;
}

/**
 * Returns whether a node's work refers to a blob. A task that the node holds or may receive refers to its
 * prompt. A proposal refers to its blob on every node with a clone of the project. Agents fetch a prompt
 * before they claim its task, so that a prompt that they cannot fetch costs no attempt.
 * @param input.sha256 lower-case hex
 */
export async function isBlobNamed(db: Database, input: { node: string; sha256: string }): Promise<boolean> {
  const { node, sha256 } = input;
  const isPrompt = sql`encode(sha256(convert_to(${llmTasks.prompt}, 'UTF8')), 'hex') = ${sha256}`;
  // Shorter prompts are in no blob. The length is known without decompressing the text.
  const isLong = sql`octet_length(${llmTasks.prompt}) > ${INLINE_BYTES}`;
  return await db.run(async (executor) => {
    const held = await executor
      .select({ id: leases.id })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .where(and(leaseCondition(node), isLong, isPrompt))
      .limit(1);
    if (held.length > 0) return true;
    const proposed = await executor
      .select({ id: proposals.id })
      .from(proposals)
      .innerJoin(runtimeArtifacts, eq(runtimeArtifacts.id, proposals.artifact_id))
      .innerJoin(projectNodeStatus, eq(projectNodeStatus.project_id, proposals.project_id))
      .where(and(eq(runtimeArtifacts.sha256, sha256), eq(projectNodeStatus.node_id, node)))
      .limit(1);
    if (proposed.length > 0) return true;
    const waiting = await executor
      .select({ id: llmTasks.id })
      .from(llmTasks)
      .innerJoin(nodes, eq(nodes.id, node))
      .where(
        and(
          eq(llmTasks.status, 'queued'),
          or(isNull(llmTasks.requested_worker_id), eq(llmTasks.requested_worker_id, node)),
          or(
            eq(llmTasks.pool, DEFAULT_POOL),
            and(
              sql`${nodes.facts}->'capabilities'->'labels' ? ${llmTasks.pool}`,
              sql`${nodes.pools} ? ${llmTasks.pool}`,
            ),
          ),
          isLong,
          isPrompt,
        ),
      )
      .limit(1);
    return waiting.length > 0;
  });
}

const leaseCondition = (node: string) =>
  and(eq(leases.worker_id, node), eq(leases.status, 'active'), eq(leases.kind, 'agent'));
