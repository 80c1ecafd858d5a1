/** A child process that answers calls. What is measured runs in a separate process, so that its memory is measured alone. */
import { fork } from 'node:child_process';

/** The calls of a child. Arguments and results must survive structured cloning. */
type Calls = Record<string, (...args: never[]) => unknown>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly args: never[];
}
type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

/** A running child. */
export interface Program<C> {
  readonly pid: number;
  /** @throws Error with the child's message, or saying that it ended */
  call<N extends keyof C & string>(
    name: N,
    ...args: C[N] extends (...args: infer A) => unknown ? A : never
  ): Promise<C[N] extends (...args: never[]) => infer R ? Awaited<R> : never>;
  /** Ends it and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Starts a program of this folder.
 * @param file beside this module
 * @param job its job, which it reads with `jobOf`
 * @param execArgv options of Node itself
 */
export function startProgram<C>(file: string, job: unknown, execArgv: readonly string[] = []): Program<C> {
  const child = fork(new URL(file, import.meta.url), {
    env: { ...process.env, BENCH_JOB: JSON.stringify(job) },
    serialization: 'advanced',
    execArgv: [...execArgv],
  });
  const open = new Map<number, { settle: (value: never) => void; fail: (error: Error) => void }>();
  let last = 0;
  child.on('message', (answer: Answer) => {
    const waiting = open.get(answer.id);
    open.delete(answer.id);
    if ('error' in answer) waiting?.fail(new Error(answer.error));
    else waiting?.settle(answer.value as never);
  });
  const exited = new Promise<void>((settle) => {
    child.once('exit', (code, signal) => {
      for (const { fail } of open.values()) fail(new Error(`${file} ended: ${signal ?? `code ${code}`}`));
      settle();
    });
  });
  return {
    pid: child.pid ?? 0,
    call: (name, ...args) =>
      new Promise((settle, fail) => {
        last += 1;
        open.set(last, { settle, fail });
        child.send({ id: last, name, args });
      }),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.disconnect();
      await exited;
    },
  };
}

/** In a child: returns the job that it was started with. */
export function jobOf(): unknown {
  return JSON.parse(process.env['BENCH_JOB'] ?? '');
}

/** In a child: answers calls until the parent disconnects, then ends with `close`. */
export function serve(calls: Calls, close: () => void | Promise<void>): void {
  // The parent may be gone when the answer is ready; then nobody needs it.
  const reply = (answer: Answer): void => void process.send?.(answer, undefined, undefined, () => undefined);
  process.on('message', ({ id, name, args }: Request) => {
    void (async () => {
      try {
        const value = await calls[name]?.(...args);
        reply({ id, value });
      } catch (error) {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        reply({ id, error: text });
      }
    })();
  });
  process.once('disconnect', () => {
    void (async () => {
      await close();
      process.exit(0);
    })();
  });
}
