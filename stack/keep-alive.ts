/** Restarts services that die, with growing pauses, and logs a line each time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeExit, type Service } from './service.ts';

export interface KeepAlive {
  /** Stops restarting; waits for a restart in progress. */
  end(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** How long a service must run before its death counts as a first one again, with the first pause, in milliseconds. */
const steadyMs = 60_000;

/** Restarts the service whenever it ends unexpectedly. */
export function keepAlive(service: Service, log: (line: string) => void): KeepAlive {
  const ending = new AbortController();
  let pauseMs = firstPauseMs;
  let aliveSince = Date.now();
  let restarting = Promise.resolve();

  const restart = async (why: string): Promise<void> => {
    if (Date.now() - aliveSince > steadyMs) pauseMs = firstPauseMs;
    for (let reason = why; !ending.signal.aborted;) {
      log(
        `${service.name} ${reason}; starting it again in ${pauseMs / 1000} s (its log: ${service.logFile})`,
      );
      await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      if (ending.signal.aborted) return;
      try {
        await service.restart();
        aliveSince = Date.now();
        log(`${service.name} runs again`);
        return;
      } catch (error) {
        reason = `did not start: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
  };
  service.onDeath((exit) => {
    restarting = restart(`ended unexpectedly (${describeExit(exit)})`);
  });
  return {
    end: async () => {
      ending.abort();
      await restarting;
    },
  };
}
