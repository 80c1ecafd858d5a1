import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Task, type TaskStatus } from '../../contract/tasks/tasks.ts';
import { isTerminal } from '../../contract/tasks/task-status.ts';

/** Pause between two checks, in milliseconds. */
const LOOK_MS = 10;

const Stats = z.object({ tasks: z.object({ by_status: z.record(z.string(), z.number()) }) });
const Output = z.object({ chunks: z.array(z.object({ text: z.string() })) });
const Results = z.array(z.object({ output: z.string().nullable() }));

/** Calls about tasks, as a script makes them. */
export class TasksApi {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** Makes a task, by default one that agents take automatically. @returns its id */
  async make(prompt: string, body: Record<string, unknown> = {}): Promise<string> {
    const made = await this.call('POST', '/api/runtime/llm-tasks', { prompt, auto_dispatch: true, ...body });
    return Task.parse(made).id;
  }

  async get(id: string): Promise<Task> {
    return Task.parse(await this.call('GET', `/api/runtime/llm-tasks/${id}`));
  }

  /** Waits for a task's end. @returns its final status */
  async end(id: string): Promise<TaskStatus> {
    for (;;) {
      const { status } = await this.get(id);
      if (isTerminal(status)) return status;
      await sleep(LOOK_MS);
    }
  }

  async output(id: string): Promise<string> {
    const results = Results.parse(await this.call('GET', `/api/runtime/llm-tasks/${id}/results`));
    return results[0]?.output ?? '';
  }

  /** Waits for a running program's first output. */
  async liveOutput(id: string): Promise<string> {
    for (;;) {
      const { chunks } = Output.parse(await this.call('GET', `/api/runtime/llm-tasks/${id}/output`));
      if (chunks[0] !== undefined) return chunks[0].text;
      await sleep(LOOK_MS);
    }
  }

  async cancel(id: string): Promise<void> {
    await this.call('POST', `/api/runtime/llm-tasks/${id}/cancel`, {});
  }

  async list(query: string): Promise<unknown> {
    return await this.call('GET', `/api/runtime/llm-tasks?${query}`);
  }

  async completed(): Promise<number> {
    const { tasks } = Stats.parse(await this.call('GET', '/api/runtime/stats'));
    return tasks.by_status['completed'] ?? 0;
  }

  /** Makes a call. @throws Error with the answer of a failed call */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { 'X-Runtime-API-Key': this.#key, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}
