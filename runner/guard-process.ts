/**
 * The guard's own process: is told process groups by standard input, and kills those that are left when that ends, which
 * is when the agent has died or closes it. Lines are `+<group> <when it was started>` and `-<group>`.
 */
import { createInterface } from 'node:readline';
import { startOf } from '../git/processes.ts';

const groups = new Map<number, string>();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [, sign, group = '', start = ''] = /^([+-])(\d+) ?(.*)$/.exec(line) ?? [];
  if (sign === '+') groups.set(Number(group), start);
  if (sign === '-') groups.delete(Number(group));
});
lines.on('close', () => {
  for (const [group, start] of groups) {
    // A number that was given to another program since names none of ours. A group whose first process has ended keeps
    // its number from being given away.
    const now = startOf(group);
    if (group < 2 || (now !== null && now !== start)) continue;
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  process.exit(0);
});
