import type { ParseArgsOptionsConfig } from 'node:util';
import type { z } from 'zod';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { MemoryEngine, SyncCall } from '../../memory/engine.ts';

/** What a call works with in the memory thread. */
export interface EngineContext {
  readonly engine: MemoryEngine;
  /** claude-mem's database. */
  readonly databasePath: string;
  /** Where the agent keeps its own files. */
  readonly dataDir: string;
  /** The spaces of this node. */
  readonly spaces: readonly SpaceConfig[];
  /** What the last push said when deletions kept it from sending (memory_guarded); null when it did not. */
  readonly guarded: string | null;
  /** Where the original's scripts keep how to reach their store (read only). */
  readonly configEnv: string;
  readonly call: SyncCall;
}

/** What was typed after a command's name. */
export interface Words {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/**
 * Something that a person can have this node's memory engine do, all of it in one place: the command `membridge <name>`,
 * the agent's `POST /<name>` with the input as its body, and the call in the memory thread.
 */
export interface EngineCall<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly name: string;
  /** Part of another command, and no command itself. */
  readonly isInternal?: boolean;
  /** What follows the name on the command line, such as `[--deep]`. */
  readonly usage: string;
  /** What it does, in less than a line. */
  readonly summary: string;
  /** What else `membridge <name> --help` says. */
  readonly help: string;
  readonly options?: ParseArgsOptionsConfig;
  readonly input: I;
  readonly output: O;
  /** Whether this input changes anything; a dry run then only says so. */
  changes(input: z.output<I>): boolean;
  /**
   * What the command line shows before the call, and asks where the call changes much. Null where nothing typed needs
   * explaining. Not for HTTP's callers.
   */
  confirm?(input: z.input<I>): Confirmation<z.input<I>> | null;
  /** The input from what was typed; checked against `input` by the agent. @throws UsageError */
  read(typed: Words): z.input<I>;
  /** Runs in the memory thread. @throws MembridgeError memory_*, ledger_failed, store_* */
  run(context: EngineContext, input: z.output<I>): Promise<z.output<O>>;
  /** What came of it, for people, a line each. */
  say(output: z.output<O>): string[];
}

/** What is shown before a call of the command line changes anything, and what is asked. */
export interface Confirmation<I> {
  /** What was understood, a line each. */
  readonly understood: readonly string[];
  /** For inputs that a person confirms; null for those that change nothing. */
  readonly asks: {
    /** An input that changes nothing and whose output says how much would change. */
    readonly trial: I;
    /** Ends with a question mark. */
    readonly question: string;
  } | null;
}

/** Words that a command does not understand; shown with how it is used. */
export class UsageError extends Error {}

/** Declares a call with its types inferred from its schemas; in the table all calls are of one type. */
export function defineEngineCall<I extends z.ZodType, O extends z.ZodType>(
  call: EngineCall<I, O>,
): EngineCall {
  return call;
}

/** The words that a command takes none of. @throws UsageError naming them */
export function noWords(name: string, { words }: Words): void {
  if (words.length > 0) throw new UsageError(`"${words.join(' ')}" is not understood after "${name}"`);
}
