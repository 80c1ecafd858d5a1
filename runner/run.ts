import { errorMessage } from '../contract/errors.ts';
import type { OutputChunk, RunError, RunSpec, Usage } from '../contract/tasks/runs.ts';
import { runClaude, type ClaudeEnd, type ClaudeWork } from './claude.ts';
import type { RunnerCommand } from './command.ts';
import { runEnvironment } from './environment.ts';
import { resolveHints } from './hints.ts';
import { runOther } from './run-other.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { readSession, recordExchange, type Session } from './sessions.ts';

/** One attempt at a task. */
export interface RunCall {
  readonly spec: RunSpec;
  readonly prompt: string;
  /** Absolute: the project's clone, or a folder of the agent's own. */
  readonly cwd: string;
  readonly command: RunnerCommand;
  /** Names of variables that the program receives from this process, besides the usual ones. */
  readonly variables?: readonly string[];
  /** The sandbox that the program runs in. Without one it runs as an ordinary program of this user. */
  readonly sandbox?: Sandbox | null;
  readonly sessionsDir: string;
  /** claude-mem's database, which is only read; it may be missing. */
  readonly databasePath: string;
  /** When aborted, ends the program with everything that it started. */
  readonly signal: AbortSignal;
  /** Receives the visible output of the run as it arrives: chunks of whole characters, of at most 64 KiB. */
  output(stream: OutputChunk['stream'], text: string): void;
  /**
   * Called with each process group, the program's own before it can do anything. They must be killed if the
   * agent dies.
   */
  started?(group: number): void;
  /** Called when such a group is gone. */
  ended?(group: number): void;
}

export interface RunOutcome {
  readonly exitCode: number | null;
  readonly durationMs: number;
  readonly usage: Usage;
  /**
   * The program's answer: its text, or with the format `json` its result as JSON text. Null when there is
   * none.
   */
  readonly answer: string | null;
  readonly error: RunError | null;
  /** Notes about the run, for people. */
  readonly notes: string[];
}

/**
 * Runs a program on a task to its end, successful or not.
 * @returns when no process of its group is left
 * @throws the signal's reason when it is aborted, after the program has ended; likewise errors of `output`
 */
export async function runProgram(call: RunCall): Promise<RunOutcome> {
  const { spec, signal, command, sessionsDir } = call;
  signal.throwIfAborted();
  const startedAt = performance.now();
  const hints = await resolveHints({
    hints: spec.hints,
    cwd: call.cwd,
    tokens: spec.limits.contextTokens,
    databasePath: call.databasePath,
    project: spec.project?.name ?? (spec.agentSlug === 'default' ? null : spec.agentSlug),
    signal,
  });
  const notes = [...hints.notes];
  const work: ClaudeWork = {
    spec,
    prompt: hints.text + call.prompt,
    session: await readSessionOf(call, notes),
    process: {
      cwd: call.cwd,
      env: runEnvironment(process.env, spec, call.variables ?? []),
      limits: spec.limits,
      signal,
      sandbox: call.sandbox ?? null,
      started: (group) => call.started?.(group),
      ended: (group) => call.ended?.(group),
    },
    output: (stream, text) => call.output(stream, text),
  };
  const done = command.kind === 'claude' ? await runClaude(command, work) : await runOther(command, work);
  notes.push(...done.notes);
  if (done.error === null) await recordSession(call, sessionsDir, done, notes);
  const { exitCode, usage, answer, error } = done;
  return { exitCode, durationMs: performance.now() - startedAt, usage, answer, error, notes };
}

/** Reads the session. An unreadable one costs the run its history, but does not fail it. */
async function readSessionOf(call: RunCall, notes: string[]): Promise<Session | null> {
  try {
    return await readSession(call.sessionsDir, call.spec.contextId);
  } catch (error) {
    notes.push(`The session of the context could not be read: ${errorMessage(error)}`);
    return null;
  }
}

async function recordSession(
  call: RunCall,
  sessionsDir: string,
  done: ClaudeEnd,
  notes: string[],
): Promise<void> {
  const { prompt, cwd, spec } = call;
  const { claudeSessionId } = done;
  try {
    const answer = done.words ?? done.answer ?? '';
    await recordExchange(sessionsDir, spec.contextId, { prompt, answer, claudeSessionId, cwd });
  } catch (error) {
    notes.push(`The session of the context could not be written: ${errorMessage(error)}`);
  }
}
