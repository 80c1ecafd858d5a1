/** `npm run upgrade`: replaces the previous release by this checkout while all kinds of work are running. */
import { parseArgs } from 'node:util';
import { FORMER } from './former.ts';
import { upgradeUnderLoad } from './run.ts';

const USAGE = `npm run upgrade [-- --json]
  runs Membridge ${FORMER.release} with three machines, replaces its control plane and then each agent by this checkout's, while
  tasks, clones, syncs and a leadership are under way
  --json  one JSON object on stdout
  Exit code 0 when nothing was lost, done twice, or left standing.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const report = await upgradeUnderLoad((line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(report, null, values.json ? undefined : 2)}\n`);
  return report.lost + report.doubled + report.stuck === 0 ? 0 : 1;
}

process.exit(await main());
