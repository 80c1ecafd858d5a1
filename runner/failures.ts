import type { RunError } from '../contract/tasks/runs.ts';

/** Every way in which a run can fail, and whether another attempt may help. */
const RETRYABLE_BY_CODE = {
  /** The time limit was reached. */
  task_timeout: true,
  memory_exceeded: false,
  output_exceeded: false,
  budget_exceeded: false,
  /** The program's own turn limit was reached. */
  turns_exceeded: false,
  /** The program is not installed, or must not be run. */
  runner_missing: false,
  /** The sandbox could not be created; the part of the machine that it shows may just have changed. */
  sandbox_failed: true,
  /** The working folder is gone; another node may have it. */
  folder_missing: true,
  /** The prompt is passed as an argument, and too long for one. */
  prompt_too_long: false,
  /** The account is not signed in, or has no credit. */
  runner_refused: false,
  /** The model's service limits requests or is overloaded. */
  runner_busy: true,
  program_failed: true,
  /** The program ended well but gave no answer. */
  no_answer: true,
} as const;

export type FailureCode = keyof typeof RETRYABLE_BY_CODE;

/** Builds a failure of this kind, with a sentence for people. */
export function runFailure(code: FailureCode, message: string): RunError {
  return { code, message, retryable: RETRYABLE_BY_CODE[code] };
}
