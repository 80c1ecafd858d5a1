/**
 * The guard's process: receives process groups on standard input, and kills the remaining ones when that
 * closes. It closes when the agent dies or closes it. Lines are `+<group> <start time>` and `-<group>`.
 */
import { createInterface } from 'node:readline';
import { startTimeOf } from '../git/processes.ts';

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
    // A number reused by another program is not our group. While a group has members, the number of its ended
    // first process is not reused.
    const now = startTimeOf(group);
    if (group < 2 || (now !== null && now !== start)) continue;
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
  process.exit(0);
});
