import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../../bench/running.ts';
import { errorMessage } from '../../contract/errors.ts';

/** A control plane as a client of its API sees it. */
export interface Api {
  readonly api: { readonly url: string };
  readonly secrets: Pick<Running['secrets'], 'RUNTIME_API_KEY'>;
}

/** Tasks that have not ended at a time, at most. */
const MAX_OPEN_TASKS = 40;
/** A lease's life, in seconds: the shortest there is. */
const TTL_SECONDS = 5;

/**
 * A program that detects whether another one works on its task. Its line on standard input names the task, and the
 * task's file lists the processes that began it.
 */
export const watchfulProgram = (folder: string): string => `#!/bin/sh
read -r id
for other in $(cat "${folder}/$id" 2>/dev/null); do
  if grep -qs program.sh "/proc/$other/cmdline"; then echo "$id $other $$" >> "${folder}/overlaps"; fi
done
echo $$ >> "${folder}/$id"
sleep 0.$(($$ % 9 + 1))
echo "$id done by $$"
`;

/** Makes tasks, with a limit on how many are open; repeats one whose answer is lost under the same key. */
export async function makeTasks(running: Api, until: number): Promise<string[]> {
  const made: string[] = [];
  for (let n = 0; Date.now() < until; n += 1) {
    const key = `chaos-${n}`;
    for (;;) {
      try {
        const ended = await call(running, 'GET', '/api/runtime/stats');
        if (made.length - countEnded(ended) < MAX_OPEN_TASKS) {
          const task = await call(
            running,
            'POST',
            '/api/runtime/llm-tasks',
            {
              prompt: key,
              auto_dispatch: true,
              max_attempts: 10,
              lease_ttl_seconds: TTL_SECONDS,
            },
            key,
          );
          made.push(String(task['id']));
          break;
        }
        if (Date.now() > until) return made;
      } catch {
        // The control plane is away; repeat the request.
      }
      await sleep(100);
    }
  }
  return made;
}

/** Returns how many tasks have ended, from the answer of `GET /api/runtime/stats`. */
function countEnded(stats: Record<string, unknown>): number {
  const { by_status: by } = stats['tasks'] as { by_status: Record<string, number> };
  return ['completed', 'failed', 'dead', 'cancelled'].reduce((sum, status) => sum + (by[status] ?? 0), 0);
}

/** Waits until that number of tasks has ended, at most `withinMs`. */
export async function drain(running: Api, tasks: number, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const stats = await call(running, 'GET', '/api/runtime/stats').catch((error: unknown) =>
      errorMessage(error),
    );
    if (typeof stats !== 'string' && countEnded(stats) >= tasks) return;
    await sleep(500);
  }
}

/** Calls the API. @throws Error naming the request and its status when the answer is no success */
export async function call(
  { api, secrets }: Api,
  method: string,
  path: string,
  body?: unknown,
  key?: string,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: {
      'X-Runtime-API-Key': secrets.RUNTIME_API_KEY,
      'Content-Type': 'application/json',
      ...(key === undefined ? {} : { 'Idempotency-Key': key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  return (await response.json()) as Record<string, unknown>;
}
