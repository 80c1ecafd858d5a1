import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../../stack/ports.ts';
import { installWorker } from './install.ts';

const READY_WITHIN_MS = 20_000;

const Page = z.object({ items: z.array(z.record(z.string(), z.unknown())), hasMore: z.boolean() });
const Found = z.object({ observations: z.array(z.object({ title: z.string().nullable() })) });

/** A running claude-mem worker, through its HTTP API. */
export interface RealWorker {
  /** Saves a memory by hand. @returns whether the worker answered with success */
  save(memory: { title: string; text: string; project: string }): Promise<boolean>;
  /** Starts or continues a conversation with a prompt, as Claude Code's hook does. @returns whether the worker accepted it */
  prompt(prompt: { session: string; project: string; text: string }): Promise<boolean>;
  /** Every row of a kind, page by page. */
  all(kind: 'observations' | 'summaries' | 'prompts'): Promise<Record<string, unknown>[]>;
  /** Titles of the observations that its full-text search finds. */
  search(query: string): Promise<(string | null)[]>;
  stop(): Promise<void>;
}

/**
 * Starts the worker with its own folder: home, data and port. It listens on loopback. Vector search, transcripts and
 * telemetry are off, and other outgoing requests meet a proxy that does not exist.
 * @param dataDir where its claude-mem.db is or will be; its home is the folder `home` in there
 * @param env settings that differ; an undefined one is not set
 */
export async function startWorker(
  dataDir: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<RealWorker> {
  const { bun, script } = await installWorker();
  const home = join(dataDir, 'home');
  mkdirSync(home, { recursive: true });
  const port = await freePort();
  const logPath = join(dataDir, 'worker-output.log');
  const log = openSync(logPath, 'a');
  const child = spawn(bun, ['--no-install', script, '--daemon'], {
    cwd: home,
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      PATH: '/usr/bin:/bin',
      HOME: home,
      // zod is the one package that the bundle leaves out.
      NODE_PATH: join(import.meta.dirname, '..', '..', 'node_modules'),
      HTTP_PROXY: 'http://127.0.0.1:9',
      HTTPS_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: '127.0.0.1,localhost',
      CLAUDE_MEM_DATA_DIR: dataDir,
      CLAUDE_MEM_WORKER_HOST: '127.0.0.1',
      CLAUDE_MEM_WORKER_PORT: String(port),
      CLAUDE_MEM_CHROMA_ENABLED: 'false',
      CLAUDE_MEM_TRANSCRIPTS_ENABLED: 'false',
      CLAUDE_MEM_MANAGED: 'true',
      CLAUDE_MEM_TELEMETRY: '0',
      DO_NOT_TRACK: '1',
      ...env,
    },
  });
  closeSync(log);
  const base = `http://127.0.0.1:${port}`;
  try {
    await ready(base, child, () => readFileSync(logPath, 'utf8'));
  } catch (error) {
    await end(child);
    throw error;
  }

  const post = async (path: string, body: unknown): Promise<boolean> => {
    const answer = await fetch(`${base}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await answer.arrayBuffer();
    return answer.ok;
  };
  const get = async (path: string): Promise<unknown> => {
    const answer = await fetch(`${base}${path}`);
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  };
  return {
    save: (memory) => post('/api/memory/save', memory),
    prompt: ({ session, project, text }) =>
      post('/api/sessions/init', { contentSessionId: session, project, prompt: text }),
    all: async (kind) => {
      const rows: Record<string, unknown>[] = [];
      for (;;) {
        const page = Page.parse(await get(`/api/${kind}?limit=100&offset=${rows.length}`));
        rows.push(...page.items);
        if (!page.hasMore) return rows;
      }
    },
    search: async (query) =>
      Found.parse(
        await get(`/api/search?format=json&limit=100&query=${encodeURIComponent(query)}`),
      ).observations.map(({ title }) => title),
    stop: () => end(child),
  };
}

async function ready(base: string, child: ChildProcess, output: () => string): Promise<void> {
  const until = Date.now() + READY_WITHIN_MS;
  while (child.exitCode === null && Date.now() < until) {
    try {
      const answer = await fetch(`${base}/api/readiness`);
      await answer.arrayBuffer();
      if (answer.ok) return;
    } catch {
      // Not listening yet.
    }
    await sleep(50);
  }
  throw new Error(`claude-mem's worker did not get ready (exit code ${child.exitCode}):\n${output()}`);
}

/** Ends the worker and every process that it started. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    return;
  }
  const late = new AbortController();
  await Promise.race([exited, sleep(5_000, undefined, { signal: late.signal }).catch(() => undefined)]);
  late.abort();
  if (child.exitCode === null && child.signalCode === null) {
    process.kill(-child.pid, 'SIGKILL');
    await exited;
  }
}
