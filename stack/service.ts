/** A server program: started, watched until it answers, stopped, killed and restarted on the same port and data. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, stopLeftover, type Child, type ChildCommand, type Exit } from './processes.ts';

export interface ServiceDefinition {
  /** Lower case, one word: names the log file, the pid record and the error messages. */
  name: string;
  dataDir: string;
  /** Runs before every start, when no earlier process of ours is left: prepares data, checks ports. */
  prepare?(): Promise<void>;
  command(): ChildCommand;
  /** Tries once whether it serves; throws while it does not. Repeated until it succeeds or the child ends. */
  probe(child: Child): Promise<void>;
  /** How long the start may take, in milliseconds; default 60,000. */
  readyTimeoutMs?: number;
  stopSignal?: NodeJS.Signals;
  graceMs?: number;
  /** A failed start with this in its log is repeated, for up to 15 seconds. */
  passingFailure?: RegExp;
}

export interface Service {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  stop(): Promise<void>;
  /** Sends SIGKILL, which acts like a power cut; for fault tests. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it on the same port with the same data. */
  restart(): Promise<void>;
  /** Calls the listener when the process ends unexpectedly. */
  onDeath(listener: (exit: Exit) => void): void;
}

/**
 * Starts a service and waits until it answers. It first stops a process of the same name that a killed parent left
 * behind.
 * @param facts further facts for its users, such as its addresses; part of the result
 * @throws with the last lines of its log when it ends before it answers, or does not answer in time
 */
export async function startService<Facts extends object>(
  definition: ServiceDefinition,
  facts: Facts,
): Promise<Service & Facts> {
  const listeners: Array<(exit: Exit) => void> = [];
  let child: Child;
  let wanted = true;

  const announceDeath = async (run: Child): Promise<void> => {
    const exit = await run.exited;
    if (wanted && child === run) for (const listener of listeners) listener(exit);
  };
  const start = async (): Promise<void> => {
    await stopLeftover(definition);
    await definition.prepare?.();
    const started = await startUntilReady(definition);
    child = started;
    wanted = true;
    void announceDeath(started);
  };
  await start();
  return {
    ...facts,
    name: definition.name,
    get pid() {
      return child.pid;
    },
    get logFile() {
      return child.logFile;
    },
    stop: () => {
      wanted = false;
      return child.stop();
    },
    kill: () => {
      wanted = false;
      return child.kill();
    },
    restart: async () => {
      wanted = false;
      await child.stop();
      await start();
    },
    onDeath: (listener) => {
      listeners.push(listener);
    },
  };
}

async function startUntilReady(definition: ServiceDefinition): Promise<Child> {
  for (const giveUp = Date.now() + 15_000; ;) {
    const child = await startChild({ ...definition, ...definition.command() });
    try {
      await waitUntilReady(definition, child);
      return child;
    } catch (error) {
      await child.kill();
      const passing = definition.passingFailure?.test(child.lastLines()) && Date.now() < giveUp;
      if (!passing) throw error;
      await sleep(250);
    }
  }
}

async function waitUntilReady(definition: ServiceDefinition, child: Child): Promise<void> {
  const { name, readyTimeoutMs = 60_000 } = definition;
  let lastError: unknown;
  const failed = (what: string): Error =>
    new Error(
      `${name} ${what}. The last lines of ${child.logFile}:\n${child.lastLines() || '(nothing was written)'}`,
      {
        cause: lastError,
      },
    );
  for (const deadline = Date.now() + readyTimeoutMs; ;) {
    try {
      await definition.probe(child);
      return;
    } catch (error) {
      lastError = error;
    }
    const exit = await Promise.race([child.exited, sleep(50, undefined)]);
    if (exit) throw failed(`ended before it was ready (${describeExit(exit)})`);
    if (Date.now() > deadline) {
      const reason = lastError instanceof Error ? lastError.message : String(lastError);
      throw failed(`did not answer within ${readyTimeoutMs / 1000} s (${reason})`);
    }
  }
}

/** Such as `code 1` or `SIGKILL`. */
export function describeExit(exit: Exit): string {
  return exit.signal ?? `code ${exit.code}`;
}
