import { and, eq, sql } from 'drizzle-orm';
import { takesPart } from '../../contract/taking-part.ts';
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

/** How a node stands to one space. */
export interface NodeInSpace {
  readonly takesPart: boolean;
  /** The leadership epoch in which it is primary now; null while it is not. */
  readonly primaryEpoch: number | null;
}

/** Says how a node stands to a space. A space that does not exist has no members. @param input.now epoch ms */
export async function findNodeInSpace(
  db: Database,
  input: { node: string; cid: string; now: number },
): Promise<NodeInSpace> {
  const { node, cid, now } = input;
  const [row] = await db.run((executor) =>
    executor
      .select({
        facts: nodes.facts,
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
    takesPart: takesPart(row.facts.spaces, { cid, name: row.name }),
    primaryEpoch: isPrimary ? row.epoch : null,
  };
}

/** What a node works on, as far as one blob goes. */
export interface NodeAndBlob {
  /** Bytes of output that the most generous task may write of those that the node holds a lease of; 0 while it holds none. */
  readonly outputBytes: number;
  /** Whether the blob is the prompt of such a task, or what was proposed for a project that the node has a clone of. */
  readonly isNamed: boolean;
}

/** Says what a node has to do with a blob. @param input.sha256 lower-case hex */
export async function findNodeAndBlob(
  db: Database,
  input: { node: string; sha256: string },
): Promise<NodeAndBlob> {
  const { node, sha256 } = input;
  return await db.run(async (executor) => {
    const [held] = await executor
      .select({
        kilobytes: sql<number | null>`max((${llmTasks.policy}->>'output_kb')::int)`,
        isPrompt: sql<
          boolean | null
        >`bool_or(encode(sha256(convert_to(${llmTasks.prompt}, 'UTF8')), 'hex') = ${sha256})`,
      })
      .from(leases)
      .innerJoin(llmTasks, eq(llmTasks.id, leases.task_id))
      .where(and(eq(leases.worker_id, node), eq(leases.status, 'active'), eq(leases.kind, 'agent')));
    const outputBytes = (held?.kilobytes ?? 0) * 1_024;
    if (held?.isPrompt === true) return { outputBytes, isNamed: true };
    const proposed = await executor
      .select({ id: proposals.id })
      .from(proposals)
      .innerJoin(runtimeArtifacts, eq(runtimeArtifacts.id, proposals.artifact_id))
      .innerJoin(projectNodeStatus, eq(projectNodeStatus.project_id, proposals.project_id))
      .where(and(eq(runtimeArtifacts.sha256, sha256), eq(projectNodeStatus.node_id, node)))
      .limit(1);
    return { outputBytes, isNamed: proposed.length > 0 };
  });
}
