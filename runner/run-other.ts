import { NO_USAGE, type RunError } from '../contract/tasks/runs.ts';
import { errorOf, readResult, usageOf } from './claude-output.ts';
import { exitFailure, overBudget, type Done, type Work } from './claude.ts';
import { otherArguments, type RunnerCommand } from './command.ts';
import { runToEnd } from './process.ts';
import { recall } from './sessions.ts';

/** Of what a program says on standard error, so many characters are kept to explain its end. */
const KEPT_STDERR = 16_384;

/**
 * Has a program that is not Claude Code do the work: it gets the prompt, with the last messages of the context in front, and what it writes to
 * standard output is its answer. Figures are known if that is a result as of `claude --output-format json`.
 */
export async function runOther(
  command: Extract<RunnerCommand, { kind: 'other' }>,
  work: Work,
): Promise<Done> {
  const written: string[] = [];
  let stderr = '';
  const end = await runToEnd({
    ...work.process,
    program: command.program,
    ...otherArguments(command.args, work.spec, recall(work.session) + work.prompt),
    heard: (stream, text) => {
      if (stream === 'stdout') written.push(text);
      else stderr = (stderr + text).slice(-KEPT_STDERR);
      work.output(stream, text);
    },
  });
  const stdout = written.join('');
  const result = readResult(stdout);
  const usage = result === null ? NO_USAGE : usageOf(result, null);
  const reported = result === null ? null : errorOf(result, null);
  const error: RunError | null =
    end.error ?? reported ?? overBudget(work.spec, usage) ?? exitFailure(end, stderr);
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
