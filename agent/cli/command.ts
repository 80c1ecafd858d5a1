import type { ParseArgsOptionsConfig } from 'node:util';
import type { Words } from '../calls/engine-call.ts';

/** One command of the command line; `--json` and `--help` are every command's. */
export interface Command {
  readonly name: string;
  /** What follows the name, such as `[--project NAME]`. */
  readonly usage: string;
  /** What it does, in less than a line. */
  readonly summary: string;
  /** What else `--help` says. */
  readonly help?: string;
  readonly options?: ParseArgsOptionsConfig;
  /**
   * @returns the process's exit code: 0 done, 1 the thing asked for failed
   * @throws UsageError for words it does not understand; Error with a sentence for people
   */
  run(typed: Words, json: boolean): Promise<number>;
}

/** Writes one line to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes one line that is not part of the answer. */
export function printAside(line: string): void {
  process.stderr.write(`${line}\n`);
}
