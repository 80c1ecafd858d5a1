/**
 * `npm run chaos -- tasks`: three agents run tasks while they, and everything beneath them, are killed with SIGKILL
 * repeatedly.
 */
import { parseArgs } from 'node:util';
import { chaosOfTasks } from './tasks.ts';

const USAGE = `npm run chaos -- tasks [OPTIONS]
  --minutes N   how long (10)
  --seed S      of who is killed when (1); what they are doing then is up to the machine
  --json        one JSON object on stdout
  Exit code 0 when no task was lost, doubled or stuck, and none was queued again later than its lease's life and 2 s.`;

/** How much later than its lease's life a task may be queued again, in milliseconds. */
const LATE_MS = 2_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (values.help || positionals.join() !== 'tasks' || !(minutes > 0)) {
    process.stderr.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const report = await chaosOfTasks({ minutes, seed: Number(values.seed), log });
  process.stdout.write(`${JSON.stringify(report, null, values.json ? undefined : 2)}\n`);
  const { lost, doubled, stuck, lateMs } = report;
  return lost + doubled + stuck === 0 && lateMs <= LATE_MS ? 0 : 1;
}

process.exit(await main());
