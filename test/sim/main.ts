/** `npm run sim`: simulated fleets over the real memory engine, each history drawn from a seed. */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MemoryEngine } from '../../memory/engine.ts';
import { historySeed } from './dice.ts';
import { runHistory, type Outcome } from './history.ts';
import { commandFor, describePlan, makeRoot, runMany, type SimReport } from './run.ts';
import { shrink } from './shrink.ts';
import { drawPlan } from './steps.ts';
import { hasFailed, KINDS_OF_FAILURE, type Verdict } from './verdict.ts';

const USAGE = `npm run sim [-- OPTIONS]
  --histories N   how many (10000)
  --first N       number of the first (0): a long run may be cut into parts
  --seed S        which (1)
  --history N     only this one, told step by step, and shortened when it fails
  --workers N     processes (one for each core)
  --json          one JSON object on stdout
  Exit code 0 when nothing was lost, duplicated, invented or diverged, and nothing else broke.`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const printLine = (line: string): void => void process.stderr.write(`${line}\n`);

function lines(verdict: Verdict): string[] {
  return KINDS_OF_FAILURE.flatMap((kind) => verdict[kind].map((line) => `${kind}: ${line}`));
}

/** Runs one history in this process, and searches for the shortest one that fails in the same way. */
async function lookInto(seed: number, history: number): Promise<boolean> {
  const own = historySeed(seed, history);
  const root = makeRoot();
  try {
    const options = { engineClass: MemoryEngine, root };
    const plan = drawPlan(own);
    const outcome = await runHistory(plan, own, { ...options, trace: printLine });
    if (!hasFailed(outcome)) {
      say(`history ${history} of seed ${seed}: nothing lost, duplicated, invented or diverged`);
      return true;
    }
    // The first kind of failure: a lost memory matters more than a hash that differs because of it.
    const kind = KINDS_OF_FAILURE.find((each) => outcome[each].length > 0) ?? 'broken';
    const same = (other: Outcome): boolean => other[kind].length > 0;
    const short = await shrink(plan, async (candidate) => same(await runHistory(candidate, own, options)));
    say(`\nthe shortest that fails in this way (${short.steps.length} of ${plan.steps.length} steps):`);
    for (const line of describePlan(short)) say(`  ${line}`);
    say('what becomes of it:');
    const again = await runHistory(short, own, { ...options, trace: (line) => say(`  ${line}`) });
    for (const line of lines(again)) say(`  ${line}`);
    say(`\n${commandFor(seed, history)}`);
    return false;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function summary(report: SimReport): Record<string, unknown> {
  const sum = (kind: keyof Verdict): number =>
    report.failures.reduce((total, { outcome }) => total + outcome[kind].length, 0);
  return {
    histories: report.histories,
    seed: report.seed,
    faults: Object.values(report.faults).reduce((total, count) => total + count, 0),
    ...Object.fromEntries(KINDS_OF_FAILURE.map((kind) => [kind, sum(kind)])),
    failed: report.failures.map(({ history }) => history),
    faultsByKind: report.faults,
    ms: Math.round(report.ms),
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      histories: { type: 'string', default: '10000' },
      first: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      history: { type: 'string' },
      workers: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    printLine(USAGE);
    return 0;
  }
  const seed = Number(values.seed);
  if (values.history !== undefined) {
    return (await lookInto(seed, Number(values.history))) ? 0 : 1;
  }
  let told = Date.now();
  const report = await runMany({
    seed,
    first: Number(values.first),
    histories: Number(values.histories),
    ...(values.workers === undefined ? {} : { workers: Number(values.workers) }),
    progress: (done, failures) => {
      if (Date.now() - told < 5_000) return;
      told = Date.now();
      printLine(`${done} histories, ${failures} failed`);
    },
    onFailure: ({ history, outcome }) => {
      printLine(`\nhistory ${history} failed:`);
      for (const line of lines(outcome).slice(0, 6)) printLine(`  ${line}`);
      printLine(`  ${commandFor(seed, history)}`);
    },
  });
  if (values.json) say(JSON.stringify(summary(report)));
  else {
    const { faultsByKind: _byKind, ...rest } = summary(report);
    say(JSON.stringify(rest));
    for (const [fault, count] of Object.entries(report.faults).toSorted(([a], [b]) => a.localeCompare(b)))
      say(`  ${fault}: ${count}`);
  }
  return report.failures.length === 0 ? 0 : 1;
}

process.exitCode = await main();
