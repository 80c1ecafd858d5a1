import { and, count, eq, inArray, sql } from 'drizzle-orm';
import type { NodeStanding } from '../../contract/nodes/node-standing.ts';
import type { NodeFacts } from '../../contract/nodes/nodes.ts';
import { DEFAULT_POOL, type Waiting } from '../../contract/tasks/tasks.ts';
import type { Database, Executor } from '../connect.ts';
import { leases, llmTasks, managedProjects, nodes, projectNodeStatus } from '../schema.ts';
import type { TaskRow } from '../task-rows.ts';
import { nodeStanding } from '../to-contract.ts';
import { labelCondition } from './label-condition.ts';

/**
 * The reason that a queued task waits: a `time`, other `tasks`, to be `asked` for, suitable `nodes`, or its
 * place in a `line`.
 */
export interface WaitingFor extends Waiting {
  readonly kind: 'time' | 'asked' | 'tasks' | 'nodes' | 'line';
}

/** Returns why a queued task does not run yet, for display; null for a task that is not queued. */
export async function explainWaiting(
  db: Database,
  input: { task: TaskRow; now: number },
): Promise<Waiting | null> {
  const found = await findWaiting(db, input);
  return found === null ? null : { reason: found.reason, position: found.position };
}

/**
 * Returns the same with the kind of reason.
 * @param input.now epoch milliseconds
 */
export async function findWaiting(
  db: Database,
  { task, now }: { task: TaskRow; now: number },
): Promise<WaitingFor | null> {
  if (task.status !== 'queued') return null;
  const because = (kind: WaitingFor['kind'], reason: string, position: number | null = null): WaitingFor => ({
    kind,
    reason,
    position,
  });
  if (task.not_before !== null && task.not_before > now) {
    const seconds = Math.ceil((task.not_before - now) / 1_000);
    return because(
      'time',
      seconds < 120 ? `begins in ${seconds} s` : `begins in ${Math.ceil(seconds / 60)} minutes`,
    );
  }
  if (!task.dispatched) return because('asked', 'waits to be dispatched or leased');
  return await db.run(async (executor) => {
    const unmet = await unmetDependencies(executor, task.depends_on);
    if (unmet.length > 0) {
      const more = unmet.length > 3 ? ` and ${unmet.length - 3} more` : '';
      return because('tasks', `waits for ${unmet.slice(0, 3).join(', ')}${more} to complete`);
    }
    const candidates = await listCandidates(executor, task, now);
    if (candidates.nodes.length === 0) return because('nodes', candidates.none);
    const position = await positionOf(executor, task);
    const free = candidates.nodes.filter(({ slots, busy }) => busy < slots).length;
    if (free > 0 && position <= free) return because('line', 'about to begin', position);
    const slots = candidates.nodes.reduce((sum, node) => sum + node.slots, 0);
    const all = slots === 1 ? 'the only slot' : `all ${slots} slots`;
    return because('line', `${all} of ${candidates.what} ${slots === 1 ? 'is' : 'are'} busy`, position);
  });
}

async function unmetDependencies(executor: Executor, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const done = await executor
    .select({ id: llmTasks.id })
    .from(llmTasks)
    .where(and(inArray(llmTasks.id, [...ids]), eq(llmTasks.status, 'completed')));
  const completed = new Set(done.map(({ id }) => id));
  return ids.filter((id) => !completed.has(id));
}

interface Candidates {
  readonly nodes: readonly { slots: number; busy: number }[];
  /** The name for the nodes. */
  readonly what: string;
  /** Why there are none. */
  readonly none: string;
}

/** Returns the nodes that could take a task now, or why none can. */
async function listCandidates(executor: Executor, task: TaskRow, now: number): Promise<Candidates> {
  const found = await executor
    .select({
      id: nodes.id,
      facts: nodes.facts,
      last_heartbeat: nodes.last_heartbeat,
      drained_at: nodes.drained_at,
      pools: nodes.pools,
      fits: sql<boolean>`coalesce(${labelCondition(task.pool)}, false)`,
      // In a select from one table the ORM omits table names, so a plain `id` would be the lease's.
      busy: sql<number>`(select count(*) from ${leases} where ${leases.worker_id} = "nodes"."id" and ${leases.status} = 'active')::int`,
    })
    .from(nodes);
  const rows = found.map((row) => {
    const standing = nodeStanding(row, now);
    return {
      ...row,
      standing,
      online: standing.presence === 'online',
      drained: row.drained_at !== null,
      runs: row.facts.capabilities.claude_cli,
      slots: row.facts.capabilities.max_concurrency,
    };
  });
  const takes = rows.filter(({ standing }) => standing.takes_tasks);
  const worker = task.requested_worker_id;
  if (worker !== null) {
    const node = rows.find(({ id }) => id === worker);
    const none =
      node === undefined
        ? `there is no node ${worker}`
        : !node.online
          ? `node ${worker} is offline`
          : node.drained
            ? `node ${worker} is drained`
            : node.runs
              ? unableSentence(node)
              : `node ${worker} has no program to run it with`;
    return { nodes: takes.filter(({ id }) => id === worker), what: `node ${worker}`, none };
  }
  if (task.project_id !== null) {
    const clones = await executor
      .select({ node: projectNodeStatus.node_id, name: managedProjects.name })
      .from(managedProjects)
      .leftJoin(
        projectNodeStatus,
        and(
          eq(projectNodeStatus.project_id, managedProjects.id),
          eq(projectNodeStatus.clone_status, 'cloned'),
        ),
      )
      .where(eq(managedProjects.id, task.project_id));
    const name = clones[0]?.name ?? task.project_id;
    const has = new Set(clones.map(({ node }) => node));
    const unable = rows.find(({ id, fits, online, drained }) => has.has(id) && fits && online && !drained);
    const label = task.pool === DEFAULT_POOL ? '' : `of pool ${task.pool} `;
    const what = `the nodes ${label}with a clone of ${name}`;
    return {
      nodes: takes.filter(({ id, fits }) => has.has(id) && fits),
      what,
      none: `no node ${label}with a clone of ${name} is online and takes tasks${unable === undefined ? '' : `: ${unableSentence(unable)}`}`,
    };
  }
  const fitting = rows.filter(({ fits }) => fits);
  const pool = task.pool === DEFAULT_POOL ? 'the fleet' : `pool ${task.pool}`;
  const unable = fitting.find(({ online, drained }) => online && !drained);
  const none =
    fitting.length === 0
      ? task.pool === DEFAULT_POOL
        ? 'no node has a program to run tasks with (the claude CLI)'
        : notServedSentence(task.pool, rows)
      : unable !== undefined
        ? `no node of ${pool} takes tasks: ${unableSentence(unable)}`
        : fitting.some(({ online }) => online)
          ? `every node of ${pool} that is online is drained`
          : `no node of ${pool} is online`;
  return { nodes: takes.filter(({ fits }) => fits), what: pool, none };
}

/** Explains why no node serves a pool besides the default one. */
function notServedSentence(
  pool: string,
  rows: readonly { id: string; facts: NodeFacts; pools: readonly string[] }[],
): string {
  const asking = rows.find(
    ({ facts, pools }) => facts.capabilities.labels.includes(pool) && !pools.includes(pool),
  );
  return asking === undefined
    ? `no node has the label ${pool}`
    : `node ${asking.id} asks for pool ${pool}, which nobody allowed it yet`;
}

/** Explains why an online node takes no tasks. */
const unableSentence = ({ id, standing }: { id: string; standing: NodeStanding }): string =>
  `node ${id} is ${standing.sentence}`;

/** Returns a task's position among those that wait in the same line, from 1. */
async function positionOf(executor: Executor, task: TaskRow): Promise<number> {
  const [row] = await executor
    .select({ before: count() })
    .from(llmTasks)
    .where(
      and(
        eq(llmTasks.status, 'queued'),
        eq(llmTasks.pool, task.pool),
        eq(llmTasks.dispatched, true),
        sql`(${llmTasks.priority}, ${llmTasks.created_at}, ${llmTasks.id}) < (${task.priority}, ${task.created_at}::bigint, ${task.id})`,
      ),
    );
  return (row?.before ?? 0) + 1;
}
