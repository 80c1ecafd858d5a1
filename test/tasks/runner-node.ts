import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunSpec } from '../../contract/tasks/runs.ts';
import type { RunnerCommand } from '../../runner/command.ts';
import { runProgram, type RunCall, type RunOutcome } from '../../runner/run.ts';

/** How the stand-in for Claude Code behaves, where that differs from a good answer. */
export interface Plan {
  /** Lines of standard output instead of its own. */
  readonly lines?: readonly unknown[];
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Milliseconds to wait before it ends. */
  readonly lingerMs?: number;
  readonly costUsd?: number;
  /** Behaves like a release from before `--max-budget-usd`. */
  readonly old?: boolean;
}

/** One start of that program. */
export interface Start {
  readonly args: string[];
  readonly input: string;
  readonly cwd: string;
  readonly env: Record<string, string>;
}

type SpecInput = Partial<Omit<RunSpec, 'limits'>> & { readonly limits?: Partial<RunSpec['limits']> };

/** A node's folders for tests of the runner, and calls with defaults for everything that a test does not care about. */
export interface RunnerNode {
  readonly folder: string;
  readonly cwd: string;
  readonly sessionsDir: string;
  readonly databasePath: string;
  /** All shown output of runs, by stream. */
  readonly shown: { stdout: string; stderr: string };
  readonly groups: { readonly started: number[]; readonly ended: number[] };
  /** Writes an executable script of Node.js; returns its path. */
  script(name: string, source: string): string;
  /** The stand-in for Claude Code. */
  readonly claude: RunnerCommand;
  plan(plan: Plan): void;
  starts(): Start[];
  run(input: string, call?: Partial<Omit<RunCall, 'spec'>>, spec?: SpecInput): Promise<RunOutcome>;
  remove(): void;
}

export function makeSpec(input: SpecInput = {}): RunSpec {
  const { limits, ...rest } = input;
  return {
    taskId: 't1',
    epoch: 1,
    token: '1.1',
    contextId: 'c1',
    agentSlug: 'default',
    prompt: { text: '' },
    hints: [],
    format: 'text',
    artifactType: 'LLM_RESULT',
    project: null,
    priority: 0,
    ttlMs: 60_000,
    slotWaitMs: 0,
    ...rest,
    limits: {
      timeoutMs: 60_000,
      memoryMb: null,
      outputBytes: 1_000_000,
      budgetUsd: null,
      contextTokens: 1_000,
      ...limits,
    },
  };
}

/**
 * Stands in for Claude Code. It reads a prompt from standard input, knows its own conversations, and writes
 * `--output-format stream-json` as documented. Release 2.1.332 confirms that where it can be tried without an
 * account.
 */
const CLAUDE = `
const { appendFileSync, existsSync, readFileSync, writeFileSync, mkdirSync } = require('node:fs');
const { join } = require('node:path');
const { randomUUID } = require('node:crypto');
const args = process.argv.slice(2);
const valueOf = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : null);
const planPath = join(__dirname, 'plan.json');
const plan = existsSync(planPath) ? JSON.parse(readFileSync(planPath, 'utf8')) : {};
const say = (line) => process.stdout.write((typeof line === 'string' ? line : JSON.stringify(line)) + '\\n');
if (plan.old && args.includes('--max-budget-usd')) {
  process.stderr.write("error: unknown option '--max-budget-usd'\\n");
  process.exit(1);
}
const input = readFileSync(0, 'utf8');
appendFileSync(join(__dirname, 'starts'), JSON.stringify({ args, input, cwd: process.cwd(), env: process.env }) + '\\n');
const conversations = join(__dirname, 'conversations');
mkdirSync(conversations, { recursive: true });
const resumed = valueOf('--resume');
const usage = { input_tokens: 10, output_tokens: 20, cache_read_input_tokens: 30, cache_creation_input_tokens: 40 };
if (resumed !== null && !existsSync(join(conversations, resumed))) {
  const errors = ['No conversation found with session ID: ' + resumed];
  process.stderr.write(errors[0] + '\\n');
  say({ type: 'result', subtype: 'error_during_execution', is_error: true, num_turns: 0, session_id: resumed, total_cost_usd: 0, usage, errors });
  process.exit(1);
}
const session_id = resumed !== null && !args.includes('--fork-session') ? resumed : randomUUID();
writeFileSync(join(conversations, session_id), '');
if (plan.stderr) process.stderr.write(plan.stderr);
const said = 'You said: ' + input;
const lines = plan.lines ?? [
  { type: 'system', subtype: 'init', session_id, model: 'model-a', cwd: process.cwd() },
  { type: 'assistant', message: { model: 'model-a', content: [{ type: 'text', text: 'Let me look.' }, { type: 'tool_use', id: '1', name: 'Bash', input: { command: 'ls  -l' } }] }, session_id },
  { type: 'user', message: { content: [{ type: 'tool_result', content: 'total 0' }] }, session_id },
  { type: 'assistant', message: { model: 'model-a', content: [{ type: 'text', text: said }] }, session_id },
  { type: 'result', subtype: 'success', is_error: false, result: said, session_id, num_turns: 2, total_cost_usd: plan.costUsd ?? 0.01, usage, modelUsage: { 'model-b': { costUSD: 0.001 }, 'model-a': { costUSD: 0.009 } } },
];
lines.forEach(say);
setTimeout(() => process.exit(plan.exitCode ?? 0), plan.lingerMs ?? 0);
`;

export function makeRunnerNode(): RunnerNode {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-runner-'));
  const cwd = join(folder, 'work');
  mkdirSync(cwd);
  const script = (name: string, source: string): string => {
    const path = join(folder, name);
    writeFileSync(path, `#!${process.execPath}\n${source}`);
    chmodSync(path, 0o755);
    return path;
  };
  const claude: RunnerCommand = { kind: 'claude', program: script('claude', CLAUDE) };
  const shown = { stdout: '', stderr: '' };
  const groups = { started: [] as number[], ended: [] as number[] };
  const sessionsDir = join(folder, 'sessions');
  const databasePath = join(folder, 'claude-mem.db');
  return {
    folder,
    cwd,
    sessionsDir,
    databasePath,
    shown,
    groups,
    script,
    claude,
    plan: (plan) => writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan)),
    starts: () => {
      const path = join(folder, 'starts');
      if (!existsSync(path)) return [];
      return readFileSync(path, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Start);
    },
    run: async (prompt, call = {}, spec = {}) =>
      await runProgram({
        prompt,
        cwd,
        command: claude,
        sessionsDir,
        databasePath,
        signal: new AbortController().signal,
        output: (stream, text) => {
          shown[stream] += text;
        },
        started: (group) => groups.started.push(group),
        ended: (group) => groups.ended.push(group),
        ...call,
        spec: makeSpec(spec),
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
