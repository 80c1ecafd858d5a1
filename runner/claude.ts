import type { OutputChunk, RunError, RunLimits, RunSpec, Usage } from '../contract/tasks/runs.ts';
import { ClaudeOutput, MESSAGE_LENGTH, codeOf } from './claude-output.ts';
import { claudeArguments, type ClaudeOptions, type RunnerCommand } from './command.ts';
import { runFailure } from './failures.ts';
import { splitPieces, shorten } from './lines.ts';
import { runToEnd, type ProgramCall, type ProgramEnd } from './process.ts';
import { recall, type Session } from './sessions.ts';

/** One task for one program, completely prepared. */
export interface ClaudeWork {
  readonly spec: RunSpec;
  /** Context, then prompt. */
  readonly prompt: string;
  readonly session: Session | null;
  /** Everything about the process that is the same for all programs. */
  readonly process: Pick<ProgramCall, 'cwd' | 'env' | 'limits' | 'signal' | 'sandbox' | 'started' | 'ended'>;
  output(stream: OutputChunk['stream'], text: string): void;
}

/** The outcome. */
export interface ClaudeEnd {
  readonly exitCode: number | null;
  readonly usage: Usage;
  readonly answer: string | null;
  /** The answer as text, for the session of the context. */
  readonly words: string | null;
  readonly error: RunError | null;
  readonly notes: readonly string[];
  /** The id of the Claude Code conversation. */
  readonly claudeSessionId: string | null;
}

/** Maximum UTF-16 units per chunk of output. */
const PIECE_CHARS = 16_384;

/** Number of characters kept of standard error, to explain the end of the program. */
const MAX_STDERR_CHARS = 16_384;

/** Conversations that a run is continuing now. */
const busy = new Set<string>();

/**
 * Runs Claude Code. Continues the context's conversation if this node and folder has it. If Claude Code no
 * longer knows it, starts a new one with the last messages before the prompt.
 */
export async function runClaude(
  command: Extract<RunnerCommand, { kind: 'claude' }>,
  work: ClaudeWork,
): Promise<ClaudeEnd> {
  const { session, spec } = work;
  const notes: string[] = [];
  const known = session?.cwd === work.process.cwd ? session.claude_session_id : null;
  let options: ClaudeOptions = { resume: known, fork: false, budgetUsd: spec.limits.budgetUsd };
  const deadline = performance.now() + spec.limits.timeoutMs;
  for (;;) {
    const left = Math.max(1, Math.ceil(deadline - performance.now()));
    const tried = await tryOnce(command, work, options, { ...work.process.limits, timeoutMs: left });
    if (options.resume !== null && tried.conversationGone) {
      notes.push('Claude Code no longer knows the conversation; the prompt starts with its last messages.');
      options = { ...options, resume: null };
    } else if (options.budgetUsd !== null && tried.budgetUnknown) {
      notes.push(
        'This Claude Code has no --max-budget-usd; the budget was compared with the cost at the end only.',
      );
      options = { ...options, budgetUsd: null };
    } else {
      return { ...tried.done, notes: [...notes, ...tried.done.notes] };
    }
  }
}

interface Tried {
  readonly done: ClaudeEnd;
  readonly conversationGone: boolean;
  readonly budgetUnknown: boolean;
}

async function tryOnce(
  command: Extract<RunnerCommand, { kind: 'claude' }>,
  work: ClaudeWork,
  wanted: ClaudeOptions,
  limits: Pick<RunLimits, 'timeoutMs' | 'memoryMb' | 'outputBytes'>,
): Promise<Tried> {
  const { resume } = wanted;
  const fork = resume !== null && busy.has(resume);
  if (resume !== null && !fork) busy.add(resume);
  const reader = new ClaudeOutput((text) => {
    for (const piece of splitPieces(text.toWellFormed(), PIECE_CHARS)) work.output('stdout', piece);
  });
  let stderr = '';
  try {
    const end = await runToEnd({
      ...work.process,
      program: command.program,
      args: claudeArguments(command.args ?? [], { ...wanted, fork }),
      input: resume === null ? recall(work.session) + work.prompt : work.prompt,
      limits,
      heard: (stream, text) => {
        if (stream === 'stdout') {
          reader.take(text);
          return;
        }
        stderr = (stderr + text).slice(-MAX_STDERR_CHARS);
        work.output('stderr', text);
      },
    });
    reader.end();
    const said = `${stderr}\n${reader.result?.errors.join('\n') ?? ''}`;
    return {
      done: judge(work.spec, reader, end, stderr),
      conversationGone: end.error === null && reader.error !== null && SESSION_GONE.test(said),
      budgetUnknown: reader.result === null && /unknown option.*--max-budget-usd/.test(stderr),
    };
  } finally {
    if (resume !== null && !fork) busy.delete(resume);
  }
}

const SESSION_GONE = /No conversation found|--resume requires a valid session/i;

function judge(spec: RunSpec, reader: ClaudeOutput, end: ProgramEnd, stderr: string): ClaudeEnd {
  const notes: string[] = [];
  if (reader.leftOut > 0) notes.push(`${reader.leftOut} lines of output were too long to parse.`);
  const { result, usage } = reader;
  let limit = end.error;
  // The program answered in time; an unfinished part after that (usually a hook) does not undo the answer.
  if (limit?.code === 'task_timeout' && result !== null && reader.error === null) {
    notes.push('Claude Code had answered, but did not end in time and was ended.');
    limit = null;
  }
  const error =
    limit ??
    reader.error ??
    checkBudget(spec, usage) ??
    (result === null ? explainSilence(end, stderr) : null);
  const answered = result !== null && reader.error === null && limit === null;
  const words = answered ? result.result : null;
  return {
    exitCode: end.exitCode,
    usage,
    answer: answered && spec.format === 'json' ? reader.rawResult : words,
    words,
    error,
    notes,
    claudeSessionId: reader.sessionId,
  };
}

/** Returns the failure of a program that ended without a result. */
function explainSilence(end: ProgramEnd, stderr: string): RunError {
  const failed = exitFailure(end, stderr);
  if (failed === null) return runFailure('no_answer', 'Claude Code ended without a result.');
  return runFailure(codeOf(null, null, failed.message), failed.message);
}

/** Returns the failure of a program's end, with the last thing that it printed; null when it ended well. */
export function exitFailure(end: ProgramEnd, stderr: string): RunError | null {
  if (end.exitCode === 0) return null;
  const how =
    end.exitCode === null ? `was ended by ${end.killedBy ?? 'the system'}` : `exit code ${end.exitCode}`;
  const last = stderr.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const message = last === '' ? `The program ${end.exitCode === null ? how : `ended with ${how}`}.` : last;
  return runFailure('program_failed', shorten(message, MESSAGE_LENGTH));
}

/**
 * Returns a failure when the run cost more than its budget. The cost is known only at the end, so it can only
 * be reported.
 */
export function checkBudget(spec: RunSpec, usage: Usage): RunError | null {
  const { budgetUsd } = spec.limits;
  if (budgetUsd === null || usage.costUsd === null || usage.costUsd <= budgetUsd) return null;
  return runFailure(
    'budget_exceeded',
    `The task cost ${usage.costUsd.toFixed(4)} US dollars; its budget is ${budgetUsd}.`,
  );
}
