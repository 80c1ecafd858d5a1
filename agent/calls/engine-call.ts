import type { ParseArgsOptionsConfig } from 'node:util';
import type { z } from 'zod';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { MemoryEngine, SyncCall } from '../../memory/engine.ts';

/** What a call gets in the memory thread. */
export interface EngineContext {
  readonly engine: MemoryEngine;
  /** claude-mem's database. */
  readonly databasePath: string;
  /** Where the agent keeps its own files. */
  readonly dataDir: string;
  /** The spaces of this node. */
  readonly spaces: readonly SpaceConfig[];
  /** The sentence of the last push when mass deletions stopped it (memory_guarded); null when it sent. */
  readonly guarded: string | null;
  /** The file in which the original's scripts keep the address and keys of their store; never written. */
  readonly configEnv: string;
  readonly call: SyncCall;
}

/** The words and options that were typed after a command's name. */
export interface TypedWords {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/**
 * A function of this node's memory engine that people can call, all of it in one place. It is the command `membridge
 * <name>`, the agent's `POST /<name>` with the input as its body, and the call in the memory thread.
 */
export interface EngineCall<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly name: string;
  /** Part of another command; not a command of its own. */
  readonly isInternal?: boolean;
  /** The arguments after the name on the command line, such as `[--deep]`. */
  readonly usage: string;
  /** What the command does, in less than a line. */
  readonly summary: string;
  /** The rest of `membridge <name> --help`. */
  readonly help: string;
  readonly options?: ParseArgsOptionsConfig;
  readonly input: I;
  readonly output: O;
  /** Whether this input changes anything. With a dry run the call then only reports what it would do. */
  changes(input: z.output<I>): boolean;
  /**
   * What the command line shows before the call, and the question it asks where the call changes much. Null where the
   * typed words need no explanation. Callers over HTTP are not asked.
   */
  confirm?(input: z.input<I>): Confirmation<z.input<I>> | null;
  /** Reads the input from what was typed; the agent checks it against `input`. @throws UsageError */
  read(typed: TypedWords): z.input<I>;
  /** Runs in the memory thread. @throws MembridgeError memory_*, ledger_failed, store_* */
  run(context: EngineContext, input: z.output<I>): Promise<z.output<O>>;
  /** Describes the result for people, a line each. */
  say(output: z.output<O>): string[];
}

/** What the command line shows, and asks, before a call changes anything. */
export interface Confirmation<I> {
  /** How the command understood the input, a line each. */
  readonly understood: readonly string[];
  /** The question for inputs that a person confirms; null for inputs that change nothing. */
  readonly asks: {
    /** An input that changes nothing and whose output reports how much would change. */
    readonly trial: I;
    /** Ends with a question mark. */
    readonly question: string;
  } | null;
}

/** Thrown for words that a command does not understand; shown with the command's usage. */
export class UsageError extends Error {}

/** Declares a call and infers its types from its schemas; in the table all calls have one type. */
export function defineEngineCall<I extends z.ZodType, O extends z.ZodType>(
  call: EngineCall<I, O>,
): EngineCall {
  return call;
}

/** Refuses words after a command that takes none. @throws UsageError naming them */
export function refuseWords(name: string, { words }: TypedWords): void {
  if (words.length > 0) throw new UsageError(`"${words.join(' ')}" is not understood after "${name}"`);
}
