import { NO_USAGE, type RunError } from '../contract/tasks/runs.ts';
import { errorOf, readResult, usageOf } from './claude-output.ts';
import { exitFailure, checkBudget, type ClaudeEnd, type ClaudeWork } from './claude.ts';
import { otherArguments, type RunnerCommand } from './command.ts';
import { runToEnd } from './process.ts';
import { recall } from './sessions.ts';

/** Number of characters kept of standard error, to explain the end of the program. */
const MAX_STDERR_CHARS = 16_384;

/**
 * Runs a program other than Claude Code. The program receives the prompt, preceded by the last messages of the
 * context. Its standard output is the answer. Figures are known if that has the format of `claude
 * --output-format json`.
 */
export async function runOther(
  command: Extract<RunnerCommand, { kind: 'other' }>,
  work: ClaudeWork,
): Promise<ClaudeEnd> {
  const written: string[] = [];
  let stderr = '';
  const end = await runToEnd({
    ...work.process,
    program: command.program,
    ...otherArguments(command.args, work.spec, recall(work.session) + work.prompt),
    heard: (stream, text) => {
      if (stream === 'stdout') written.push(text);
      else stderr = (stderr + text).slice(-MAX_STDERR_CHARS);
      work.output(stream, text);
    },
  });
  const stdout = written.join('');
  const result = readResult(stdout);
  const usage = result === null ? NO_USAGE : usageOf(result, null);
  const reported = result === null ? null : errorOf(result, null);
  const error: RunError | null =
    end.error ?? reported ?? checkBudget(work.spec, usage) ?? exitFailure(end, stderr);
  return {
    exitCode: end.exitCode,
    usage,
    answer: stdout === '' ? null : stdout,
    words: result?.result ?? stdout,
    error,
    notes: [],
    claudeSessionId: null,
  };
}
