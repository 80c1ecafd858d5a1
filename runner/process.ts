import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../contract/errors.ts';
import type { OutputChunk, RunError, RunLimits } from '../contract/tasks/runs.ts';
import { runFailure } from './failures.ts';
import { Groups, type EnclosedGroup, type GroupListener } from './process-groups.ts';
import { locateProgram } from './sandbox/program.ts';
import { readFirstProcess, findSandboxFailure, type Sandbox } from './sandbox/sandbox.ts';

/** One program in its own process group. */
export interface ProgramCall extends GroupListener {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Sent to standard input, which is then closed. */
  readonly input: string;
  readonly limits: Pick<RunLimits, 'timeoutMs' | 'memoryMb' | 'outputBytes'>;
  readonly signal: AbortSignal;
  /** The sandbox that the program runs in. Without one it runs as an ordinary program of this user. */
  readonly sandbox?: Sandbox | null;
  /** Receives the program's output as it arrives, in chunks of whole characters of at most 64 KiB. */
  heard(stream: OutputChunk['stream'], text: string): void;
}

export interface ProgramEnd {
  /** Null when a signal ended it, or it did not start. */
  readonly exitCode: number | null;
  /** The signal that ended it. */
  readonly killedBy: NodeJS.Signals | null;
  /** The limit that it reached, or why it did not start. An exit code is never an error here. */
  readonly error: RunError | null;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A running program. */
interface Started {
  readonly child: Child;
  readonly group: number;
  readonly enclosed: EnclosedGroup | null;
}

/**
 * How long streams may stay open after the program itself has ended, in milliseconds: a daemon may hold them.
 */
const DRAIN_MS = 1_000;

/** Interval between two looks at memory and process groups, in milliseconds. */
const CHECK_MS = 500;

/** The longest delay of a Node.js timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Runs a program to its end or to its first limit.
 * @returns when nothing of its process group is left, nor, if it was ended early, of its descendants
 * @throws the signal's reason when it is aborted, and errors of `heard`; always after the program has ended
 */
export async function runToEnd(call: ProgramCall): Promise<ProgramEnd> {
  call.signal.throwIfAborted();
  const start = await startProgram(call);
  if ('code' in start) return { exitCode: null, killedBy: null, error: start };
  const { child, group, enclosed } = start;
  const exited = exitOf(child);
  const closed = once(child, 'close').catch(() => undefined);
  const groups = new Groups(group, call, enclosed);
  const watch = new Watch(call, child, groups);
  try {
    const cut = await Promise.race([exited.then(() => false), watch.cut.then(() => true)]);
    if (cut) await groups.endAll();
    await Promise.race(cut ? [closed, pause(DRAIN_MS)] : [closed, watch.cut, pause(DRAIN_MS)]);
  } finally {
    watch.stop();
    // Even after a normal end, nothing in its group may continue. The last output of such processes is still
    // read.
    if (await groups.endOwn()) await Promise.race([closed, pause(DRAIN_MS)]);
    child.stdout.destroy();
    child.stderr.destroy();
  }
  call.signal.throwIfAborted();
  watch.throwIfFailed();
  // A process that hangs in the kernel does not end even then.
  const [exitCode, killedBy] = await Promise.race([
    exited,
    pause(DRAIN_MS).then(() => [null, null] as const),
  ]);
  const error = watch.met ?? (enclosed !== null ? findSandboxFailure(exitCode, watch.firstError) : null);
  return { exitCode, killedBy, error };
}

const exitOf = (child: Child): Promise<readonly [number | null, NodeJS.Signals | null]> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve([code, signal]));
  });

const pause = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false });

/** Starts the child with its process group, or returns why it failed. */
async function startProgram(call: ProgramCall): Promise<Started | RunError> {
  const { program, args, cwd, env, sandbox } = call;
  // The system reports a missing folder and a missing program with the same error.
  if (!isFolder(cwd)) {
    return runFailure(
      'folder_missing',
      `The working directory ${cwd} is not there. Clone the project again.`,
    );
  }
  let files: readonly number[] = [];
  try {
    // For a missing program, the sandbox would only report a sentence.
    if (sandbox && locateProgram(program, env['PATH'] ?? '') === null) return notInstalledError(program);
    const start = sandbox?.enclose(call) ?? { program, args, env, files };
    ({ files } = start);
    const child = spawn(start.program, start.args, {
      cwd,
      env: start.env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', ...files, ...(sandbox ? (['pipe'] as const) : [])],
    }) as Child;
    if (child.pid === undefined) {
      const [error] = (await once(child, 'error')) as [unknown];
      return startFailure(program, error);
    }
    child.on('error', () => undefined);
    // A program need not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(call.input);
    const enclosed = sandbox ? readFirstProcess(child.stdio[3 + files.length] as Readable) : null;
    return { child, group: child.pid, enclosed };
  } catch (error) {
    return startFailure(program, error);
  } finally {
    for (const file of files) closeSync(file);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function notInstalledError(program: string): RunError {
  return runFailure(
    'runner_missing',
    `${program} is not installed on this node, or not on the PATH of its agent. Install it, or set MEMBRIDGE_RUNNER.`,
  );
}

function startFailure(program: string, error: unknown): RunError {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return notInstalledError(program);
    case 'EACCES':
    case 'ENOEXEC':
      return runFailure('runner_missing', `${program} may not be run by the agent: ${errorMessage(error)}.`);
    case 'E2BIG':
    case 'ERR_INVALID_ARG_VALUE':
      return runFailure(
        'prompt_too_long',
        `The prompt cannot be an argument of ${program}: it is too long for one, or holds NUL. Leave {prompt} out of MEMBRIDGE_RUNNER; it then goes by standard input.`,
      );
    default:
      return runFailure('program_failed', `${program} could not be started: ${errorMessage(error)}.`);
  }
}

/** Watches for a limit or a cancellation, which end a program early. */
class Watch {
  /** Resolves when the program must be ended. */
  readonly cut: Promise<void>;
  readonly #call: ProgramCall;
  readonly #cut: () => void;
  readonly #stop = new AbortController();
  #met: RunError | null = null;
  #failed: { readonly reason: unknown } | null = null;
  /** Bytes that the program may still write. */
  #room: number;
  #firstError = '';

  constructor(call: ProgramCall, child: Child, groups: Groups) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.cut = promise;
    this.#cut = resolve;
    this.#call = call;
    this.#room = call.limits.outputBytes;
    this.#listen(child.stdout, 'stdout');
    this.#listen(child.stderr, 'stderr');
    const { signal } = this.#stop;
    call.signal.addEventListener('abort', () => this.#fail(call.signal.reason), { signal });
    if (call.signal.aborted) this.#fail(call.signal.reason);
    void this.#awaitTime();
    void this.#watchMemory(groups);
  }

  /** The limit that was reached. */
  get met(): RunError | null {
    return this.#met;
  }

  /** The first chunk of standard error. */
  get firstError(): string {
    return this.#firstError;
  }

  throwIfFailed(): void {
    if (this.#failed !== null) throw this.#failed.reason;
  }

  stop(): void {
    this.#stop.abort();
  }

  #recordError(error: RunError): void {
    this.#met ??= error;
    this.#cut();
  }

  #fail(reason: unknown): void {
    this.#failed ??= { reason };
    this.#cut();
  }

  #listen(stream: Readable, name: OutputChunk['stream']): void {
    const decoder = new StringDecoder('utf8');
    let whole = true;
    const tell = (text: string): void => {
      if (text === '' || this.#failed !== null) return;
      if (name === 'stderr' && this.#firstError === '') this.#firstError = text;
      try {
        this.#call.heard(name, text);
      } catch (error) {
        this.#fail(error);
      }
    };
    stream.on('error', () => undefined);
    stream.on('data', (bytes: Buffer) => {
      const taken = bytes.subarray(0, this.#room);
      this.#room -= taken.length;
      tell(decoder.write(taken));
      if (taken.length === bytes.length) return;
      whole = false;
      // Nothing reads on, so the program blocks until it is ended. (Node.js then reads the rest
      // automatically.)
      stream.pause();
      const { outputBytes } = this.#call.limits;
      this.#recordError(
        runFailure('output_exceeded', `The program wrote more than the ${outputBytes} bytes it may.`),
      );
    });
    stream.on('end', () => {
      // Half of a character at the limit is not the program's fault.
      if (whole) tell(decoder.end());
    });
  }

  async #awaitTime(): Promise<void> {
    const { timeoutMs } = this.#call.limits;
    try {
      await sleep(Math.min(timeoutMs, MAX_TIMER_MS), undefined, { signal: this.#stop.signal });
    } catch {
      return;
    }
    this.#recordError(
      runFailure(
        'task_timeout',
        `The program took longer than the ${timeoutMs / 1_000} s it may, and was ended.`,
      ),
    );
  }

  async #watchMemory(groups: Groups): Promise<void> {
    const { memoryMb } = this.#call.limits;
    while (!this.#stop.signal.aborted) {
      // On a system that does not report memory, there is no such limit.
      const bytes = await groups.look('shared').catch(() => 0);
      if (memoryMb !== null && bytes > memoryMb * 2 ** 20) {
        const used = Math.round(bytes / 2 ** 20);
        this.#recordError(
          runFailure(
            'memory_exceeded',
            `The program used ${used} MiB of memory; it may use ${memoryMb} MiB.`,
          ),
        );
      }
      await sleep(CHECK_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
