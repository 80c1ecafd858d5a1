import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from './fleet.ts';
import type { Machine } from './machines.ts';

const THOUGHTS = [
  'The login form keeps its state in the URL',
  'The rate limiter needs the proxy header',
  'Uploads are retried three times, then parked',
  'The search index is rebuilt at night only',
  'Releases are cut from main after the smoke test',
  'The audit log must never hold a prompt',
];

/** Pause between two new memories, in milliseconds. */
const EVERY_MS = 4_000;

/**
 * Writes a new memory on one machine after the other, as its claude-mem would, and reports when the others have it.
 * Continues until the signal.
 */
export async function keepRemembering(
  machines: readonly Machine[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; !signal.aborted; n += 1) {
    const machine = machines[n % machines.length];
    if (machine === undefined) return;
    const title = `${THOUGHTS[n % THOUGHTS.length]} (${n + 1})`;
    const began = performance.now();
    machine.writer.observation({
      memorySessionId: 'manual-garden',
      project: 'garden',
      type: 'discovery',
      title,
      narrative: `Seen on ${machine.id} at ${new Date().toISOString()}.`,
      createdAt: Date.now(),
    });
    const others = machines.filter((other) => other !== machine);
    const has = (other: Machine): boolean =>
      other.db.prepare('SELECT 1 FROM observations WHERE title = ?').get(title) !== undefined;
    try {
      await waitUntil(`"${title}" on every machine`, 60, () => signal.aborted || others.every(has));
      if (signal.aborted) return;
      const seconds = ((performance.now() - began) / 1_000).toFixed(1);
      say(
        `${machine.id} remembered "${title}"; ${others.map(({ id }) => id).join(' and ')} know it ${seconds} s later`,
      );
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}
