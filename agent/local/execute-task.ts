import { join } from 'node:path';
import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { readSession } from '../../runner/sessions.ts';
import { runProgram, type RunOutcome } from '../../runner/run.ts';
import type { Agent } from '../agent.ts';
import { isProgramRunnable } from '../node-facts.ts';
import { contextFolder } from '../tasks/contexts.ts';

/** The original's body. `runtime_url` is dropped: results return in the answer, so the agent calls nobody back. */
export const ExecuteTaskBody = z.strictObject({
  task_id: z.string().min(1).max(256),
  prompt: z.string().min(1).max(50_000),
  context_id: z.string().min(1).max(256),
  agent_slug: z.string().min(1).max(128).default('default'),
  desired_format: z.enum(['text', 'json']).default('text'),
  context_hints: z.array(z.string().max(1_024)).max(64).default([]),
  policy: z
    .strictObject({
      timeout_sec: z.number().int().min(1).max(3_600).default(120),
      budget: z.number().min(0).max(10_000).default(0),
    })
    .prefault({}),
});
type ExecuteTaskBody = z.infer<typeof ExecuteTaskBody>;

/** Limits of the program's output in bytes, and of hints in tokens; the defaults of a task. */
const OUTPUT_BYTES = 16_384 * 1_024;
const HINT_TOKENS = 12_000;

/** Lines of output in the answer, as in the original: of a success, and of each stream of a failure. */
const ANSWER_LINES = 200;
const FAILED_LINES = 50;

/** How many tasks run for callers on this machine, besides those from the control plane. */
let running = 0;

/**
 * Runs the node's program on a prompt, as the original's `POST /execute-task`. It runs in the task's sandbox and
 * within its limits. The control plane neither leases nor records it.
 * @throws MembridgeError no_worker without a program, or without the sandbox that the node needs; conflict when as
 * many run as the node allows
 */
export async function executeTask(
  agent: Agent,
  body: ExecuteTaskBody,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const { config, sandbox } = agent;
  const { task_id: taskId, context_id: contextId } = body;
  if (config.dryrun) {
    return { ok: true, dryrun: true, task_id: taskId, detail: `[DRYRUN] Would run ${taskId}` };
  }
  if (!isProgramRunnable(config.runner.program)) {
    throw new MembridgeError('no_worker', `${config.runner.program} is not installed on this node.`);
  }
  if (sandbox.told.refuses)
    throw new MembridgeError('no_worker', sandbox.told.detail ?? 'There is no sandbox.');
  if (running >= config.maxConcurrency) {
    throw new MembridgeError(
      'conflict',
      `${running} tasks are already running (MEMBRIDGE_MAX_CONCURRENCY); try again later.`,
    );
  }
  running += 1;
  const said = { stdout: '', stderr: '' };
  try {
    const outcome = await runProgram({
      spec: specOf(body),
      prompt: body.prompt,
      cwd: await contextFolder(config.dataDir, contextId),
      signal,
      command: config.runner,
      variables: config.taskVariables,
      sandbox: sandbox.sandbox,
      sessionsDir: join(config.dataDir, 'sessions'),
      databasePath: config.databasePath,
      output: (stream, text) => void (said[stream] += text),
    });
    return await answerOf(agent, body, outcome, said);
  } finally {
    running -= 1;
  }
}

function specOf(body: ExecuteTaskBody): Parameters<typeof runProgram>[0]['spec'] {
  const { timeout_sec: seconds, budget } = body.policy;
  return {
    taskId: body.task_id,
    epoch: 1,
    token: 'local',
    contextId: body.context_id,
    agentSlug: body.agent_slug,
    prompt: { text: body.prompt },
    hints: body.context_hints.filter((hint) => hint !== ''),
    format: body.desired_format,
    artifactType: 'LLM_RESULT',
    limits: {
      timeoutMs: seconds * 1_000,
      memoryMb: null,
      outputBytes: OUTPUT_BYTES,
      budgetUsd: budget === 0 ? null : budget,
      contextTokens: HINT_TOKENS,
    },
    project: null,
    priority: 3,
    ttlMs: seconds * 1_000,
    slotWaitMs: 0,
  };
}

async function answerOf(
  { config }: Agent,
  { task_id, context_id }: ExecuteTaskBody,
  outcome: RunOutcome,
  said: Readonly<Record<'stdout' | 'stderr', string>>,
): Promise<Record<string, unknown>> {
  const duration = { duration_ms: Math.round(outcome.durationMs), returncode: outcome.exitCode };
  if (outcome.error !== null) {
    const { message } = outcome.error;
    const streams = {
      stdout: lastLines(said.stdout, FAILED_LINES),
      stderr: lastLines(said.stderr, FAILED_LINES),
    };
    return { ok: false, task_id, error: message, ...streams, ...duration, context_id, detail: message };
  }
  const session = await readSession(join(config.dataDir, 'sessions'), context_id);
  return {
    ok: true,
    task_id,
    output: lastLines(outcome.answer ?? '', ANSWER_LINES) ?? '',
    ...duration,
    context_id,
    session_messages: session?.messages.length ?? 0,
    detail: 'the program succeeded',
    notes: outcome.notes,
  };
}

/** Returns the last lines of a text; null where there is none. */
function lastLines(text: string, lines: number): string | null {
  const trimmed = text.trim();
  return trimmed === '' ? null : trimmed.split('\n').slice(-lines).join('\n');
}
