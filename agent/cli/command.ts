import type { ParseArgsOptionsConfig } from 'node:util';
import type { TypedWords } from '../calls/engine-call.ts';

/** One command of the command line. Every command also takes `--json` and `--help`. */
export interface Command {
  readonly name: string;
  /** The arguments after the name, such as `[--project NAME]`. */
  readonly usage: string;
  /** What the command does, in less than a line. */
  readonly summary: string;
  /** The rest of `--help`. */
  readonly help?: string;
  readonly options?: ParseArgsOptionsConfig;
  /**
   * Runs the command.
   * @returns the exit code: 0 done, 1 the request failed
   * @throws UsageError for words it does not understand; Error with a sentence for people
   */
  run(typed: TypedWords, json: boolean): Promise<number>;
}

/** Writes one line to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes one line to standard error: it is not part of the answer. */
export function printAside(line: string): void {
  process.stderr.write(`${line}\n`);
}
