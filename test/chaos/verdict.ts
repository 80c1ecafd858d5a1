import { existsSync, readFileSync } from 'node:fs';
import { Client } from 'pg';

/** A kill: which process, and when (epoch ms). */
export interface Kill {
  readonly node: string;
  readonly at: number;
}

/** When a part beneath the agents was away (epoch ms). */
export interface Downtime {
  readonly from: number;
  readonly to: number;
}

export interface Verdict {
  /** Accepted tasks that are missing, or did not complete. */
  readonly lost: number;
  /** Tasks that completed more than once, or on which two programs worked at the same time. */
  readonly doubled: number;
  /** Tasks that had not ended although all had enough time. */
  readonly stuck: number;
  /**
   * How much later than its lease's life, at most, a task was queued again after its agent was killed, without
   * downtimes of parts.
   */
  readonly lateMs: number;
  /** Expired leases, and how many of them `lateMs` is about. */
  readonly expired: number;
  readonly judged: number;
  /** The worst of each kind, by task. */
  readonly examples: string[];
}

/** Checks what PostgreSQL and the programs themselves recorded. */
export async function judge(of: {
  databaseUrl: string;
  made: readonly string[];
  kills: readonly Kill[];
  downtimes: readonly Downtime[];
  overlaps: string;
}): Promise<Verdict> {
  const client = new Client({ connectionString: of.databaseUrl });
  await client.connect();
  try {
    const tasks = await client.query<{ id: string; status: string; completed: number; results: number }>(
      `select t.id, t.status,
              (select count(*)::int from audit_logs a where a.entity_id = t.id and a.action = 'task_completed') as completed,
              (select count(*)::int from llm_results r where r.task_id = t.id and r.status = 'success') as results
       from llm_tasks t`,
    );
    const expired = await client.query<{ worker: string; started: number; ended: number; ttl: number }>(
      `select worker_id as worker, started_at::float8 as started, ended_at::float8 as ended, ttl_seconds as ttl
       from leases where status = 'expired'`,
    );
    const known = new Map(tasks.rows.map((row) => [row.id, row]));
    const ended = new Set(['completed', 'failed', 'dead', 'cancelled']);
    const lost = of.made.filter((id) => {
      const task = known.get(id);
      return task === undefined || (ended.has(task.status) && task.status !== 'completed');
    });
    const stuck = tasks.rows.filter(({ status }) => !ended.has(status));
    const twice = tasks.rows.filter(
      ({ status, completed, results }) => status === 'completed' && (completed !== 1 || results !== 1),
    );
    const overlaps = existsSync(of.overlaps) ? readFileSync(of.overlaps, 'utf8').trim().split('\n') : [];
    const late = expired.rows.flatMap(({ worker, started, ended: at, ttl }) => {
      const kill = of.kills.findLast((each) => each.node === worker && each.at >= started && each.at <= at);
      const isExcused = of.downtimes.some(({ from, to }) => from <= at && to >= (kill?.at ?? 0));
      return kill === undefined || isExcused ? [] : [at - kill.at - ttl * 1_000];
    });
    return {
      lost: lost.length,
      doubled: twice.length + overlaps.length,
      stuck: stuck.length,
      lateMs: Math.max(0, ...late),
      expired: expired.rows.length,
      judged: late.length,
      examples: [
        ...lost.map((id) => `lost ${id}: ${known.get(id)?.status ?? 'not there'}`),
        ...stuck.map(({ id, status }) => `stuck ${id}: ${status}`),
        ...twice.map(({ id, completed, results }) => `doubled ${id}: ${completed} ends, ${results} results`),
        ...overlaps.map((line) => `doubled: two programs at once: ${line}`),
      ].slice(0, 20),
    };
  } finally {
    await client.end();
  }
}
