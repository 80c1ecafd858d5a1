import { and, asc, desc, eq, gte, inArray, isNull, sql } from 'drizzle-orm';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { RunError } from '../../contract/tasks/runs.ts';
import type { Route, TaskSpec } from '../../contract/tasks/task-workflow.ts';
import type { TaskStatus } from '../../contract/tasks/tasks.ts';
import type { Executor } from '../connect.ts';
import { leases, llmResults, llmTasks, managedProjects, nodes, projectNodeStatus } from '../schema.ts';
import { nodeStanding } from '../to-contract.ts';
import { labelCondition } from './label-condition.ts';
import { cachedTaskSettings } from './task-settings.ts';

interface RouteInput {
  readonly spec: TaskSpec;
  /** The only node that may run it. */
  readonly worker: string | null;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** SQL for a node that is online and not drained; its standing decides whether it can work. */
const liveCondition = (now: number) =>
  and(gte(nodes.last_heartbeat, now - ONLINE_WITHIN_MS), isNull(nodes.drained_at));

/** Columns that decide a node's standing. */
const STANDING_COLUMNS = {
  id: nodes.id,
  facts: nodes.facts,
  last_heartbeat: nodes.last_heartbeat,
  drained_at: nodes.drained_at,
  pools: nodes.pools,
};

/**
 * Returns where a queued task should go: unmet dependencies, the node with its context, nodes with the clone,
 * and whether it may run at all.
 */
export async function findRoute(tx: Executor, { spec, worker, now }: RouteInput): Promise<Route> {
  const budget = await checkBudget(tx, { spec, now });
  const base: Route = budget ?? { at: now, sticky: null, project: null, unmet: [], refuse: null };
  if (base.refuse !== null) return base;
  const dependencies = await lookAtDependencies(tx, spec.dependsOn);
  if (dependencies.refuse !== null || dependencies.unmet.length > 0) return { ...base, ...dependencies };
  const sticky = worker === null ? await findSticky(tx, spec, now) : null;
  if (spec.projectId === null) return { ...base, sticky };
  const project = await findProject(tx, { projectId: spec.projectId, pool: spec.pool, now, sticky });
  if (project !== null) return { ...base, sticky, project };
  return {
    ...base,
    refuse: finalError('project_deleted', 'The project in whose clone it was to run was deleted.'),
  };
}

const finalError = (code: string, message: string): RunError => ({ code, message, retryable: false });

async function lookAtDependencies(
  tx: Executor,
  ids: readonly string[],
): Promise<Pick<Route, 'unmet' | 'refuse'>> {
  if (ids.length === 0) return { unmet: [], refuse: null };
  const found = await tx
    .select({ id: llmTasks.id, status: llmTasks.status })
    .from(llmTasks)
    .where(inArray(llmTasks.id, [...ids]));
  const statusOf = new Map<string, TaskStatus>(found.map(({ id, status }) => [id, status]));
  const broken = ids.find((id) => ['failed', 'dead', 'cancelled'].includes(statusOf.get(id) ?? 'queued'));
  const refuse =
    broken === undefined
      ? null
      : finalError(
          'dependency_failed',
          `${broken}, which it waits for, is ${statusOf.get(broken) ?? 'deleted'}.`,
        );
  return { unmet: ids.filter((id) => statusOf.get(id) !== 'completed'), refuse };
}

/**
 * Returns the node that last served the context and therefore has the session, if it takes tasks of this pool
 * now. Excludes a node whose last lease expired: it may still count as online for a while.
 */
async function findSticky(tx: Executor, spec: TaskSpec, now: number): Promise<string | null> {
  const [last] = await tx
    .select({ worker: leases.worker_id, status: leases.status })
    .from(leases)
    .where(and(eq(leases.context_id, spec.contextId), eq(leases.kind, 'agent')))
    .orderBy(desc(leases.started_at))
    .limit(1);
  if (last === undefined || last.status === 'expired') return null;
  const [there] = await tx
    .select(STANDING_COLUMNS)
    .from(nodes)
    .where(and(eq(nodes.id, last.worker), liveCondition(now), labelCondition(spec.pool)));
  return there !== undefined && nodeStanding(there, now).takes_tasks ? there.id : null;
}

/**
 * Returns nodes of a pool that have a project's clone and take tasks: the context's node first, then by
 * number of leases.
 */
async function findProject(
  tx: Executor,
  wanted: { projectId: string; pool: string; now: number; sticky: string | null },
): Promise<Route['project']> {
  const { projectId, pool, now, sticky } = wanted;
  const [project] = await tx
    .select({ name: managedProjects.name, targetPath: managedProjects.target_path })
    .from(managedProjects)
    .where(eq(managedProjects.id, projectId));
  if (project === undefined) return null;
  const busy = sql<number>`(select count(*) from ${leases} where ${leases.worker_id} = ${nodes.id} and ${leases.status} = 'active')`;
  const rows = await tx
    .select(STANDING_COLUMNS)
    .from(projectNodeStatus)
    .innerJoin(nodes, eq(nodes.id, projectNodeStatus.node_id))
    .where(
      and(
        eq(projectNodeStatus.project_id, projectId),
        eq(projectNodeStatus.clone_status, 'cloned'),
        liveCondition(now),
        labelCondition(pool),
      ),
    )
    .orderBy(asc(sql`case when ${nodes.id} = ${sticky ?? ''} then 0 else 1 end`), busy, asc(nodes.id));
  const able = rows.filter((row) => nodeStanding(row, now).takes_tasks);
  return { ...project, nodes: able.map((row) => row.id) };
}

/** Returns a refusal when the budget of the context or the project is spent; else null. */
export async function checkBudget(
  tx: Executor,
  { spec, now }: { spec: TaskSpec; now: number },
): Promise<Route | null> {
  const settings = await cachedTaskSettings(tx);
  const refuse = (what: string, spent: number, limit: number): Route => ({
    at: now,
    sticky: null,
    project: null,
    unmet: [],
    refuse: finalError('budget_exceeded', `${what} has cost $${spent.toFixed(2)}, and may cost $${limit}.`),
  });
  const sum = sql<number>`coalesce(sum(${llmResults.cost_usd}), 0)::float8`;
  if (settings.context_budget_usd !== null) {
    const [row] = await tx
      .select({ spent: sum })
      .from(llmResults)
      .where(eq(llmResults.context_id, spec.contextId));
    const spent = row?.spent ?? 0;
    if (spent >= settings.context_budget_usd)
      return refuse('The context', spent, settings.context_budget_usd);
  }
  if (settings.project_budget_usd !== null && spec.projectId !== null) {
    const day = new Date(now);
    const month = Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1);
    const [row] = await tx
      .select({ spent: sum })
      .from(llmResults)
      .where(and(eq(llmResults.project_id, spec.projectId), gte(llmResults.completed_at, month)));
    const spent = row?.spent ?? 0;
    if (spent >= settings.project_budget_usd) {
      return refuse('The project has, this month,', spent, settings.project_budget_usd);
    }
  }
  return null;
}
