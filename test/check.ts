/**
 * `npm run check`: the checks that `npm test` makes before it runs a test. `npm run fix` repairs what a program can
 * repair.
 */
import { parseArgs } from 'node:util';
import { CHECK_NAMES, fix, runChecks, say, type CheckName, type Tally } from './checks.ts';

const USAGE = `npm run check [-- NAME ...]
  NAME is one of: ${CHECK_NAMES.join(', ')}; all of them without a NAME.
npm run fix
  formats every file, and applies the mends that the linter knows.`;

const isName = (name: string): name is CheckName => (CHECK_NAMES as readonly string[]).includes(name);

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      fix: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = positionals.find((name) => !isName(name));
  if (values.help || unknown !== undefined) {
    say(unknown === undefined ? USAGE : `There is no check "${unknown}".\n${USAGE}`);
    return unknown === undefined ? 0 : 2;
  }
  if (values.fix) return (await fix()) ? 0 : 1;
  const tally: Tally = { passed: 0, failed: 0 };
  await runChecks(tally, positionals.length === 0 ? CHECK_NAMES : positionals.filter(isName));
  if (tally.failed > 0) say('`npm run fix` mends the format and some of what the linter finds.');
  return tally.failed === 0 ? 0 : 1;
}

process.exit(await main());
