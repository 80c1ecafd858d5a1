import type { RunError } from '../contract/tasks/runs.ts';

/** Every way in which a run can fail, and whether another attempt may help. */
const RETRYABLE = {
  /** It took longer than it may. */
  task_timeout: true,
  memory_exceeded: false,
  output_exceeded: false,
  budget_exceeded: false,
  /** The program's own limit of turns was reached. */
  turns_exceeded: false,
  /** The program is not installed, or may not be run. */
  runner_missing: false,
  /** The sandbox could not be made; what it shows of the machine may just have changed. */
  sandbox_failed: true,
  /** The working directory is gone; on another node it may be there. */
  folder_missing: true,
  /** The prompt is handed over as an argument, and too long for one. */
  prompt_too_long: false,
  /** The account is not signed in, or has no credit. */
  runner_refused: false,
  /** The model's service limits requests or is overloaded. */
  runner_busy: true,
  program_failed: true,
  /** The program ended well but said nothing that is an answer. */
  no_answer: true,
} as const;

export type FailureCode = keyof typeof RETRYABLE;

/** A failure of this kind, with a sentence for people. */
export function failure(code: FailureCode, message: string): RunError {
  return { code, message, retryable: RETRYABLE[code] };
}
