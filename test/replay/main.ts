/**
 * Finds out whether the recorded histories would notice that workflow code goes another way, and chooses more of them.
 * Every call by which a workflow asks the engine for something is a site (sites.ts). A site is held when a replay fails after the
 * site was made to ask for a timer too many.
 */
import { copyFileSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Runtime } from '@temporalio/worker';
import { instrument, type Instrumented, type RecordedHistory, type Replayed } from './sites.ts';

const USAGE = `npm run replay [-- OPTIONS]
  --choose FOLDER  copies histories of that folder to workflows/histories/ that pass sites which none there passes
  --json           one JSON object on stdout
  Histories are recorded by the tests: MEMBRIDGE_RECORD_HISTORIES=FOLDER npm test
  Exit code 0 when nine of ten sites are held.`;

const HISTORIES = join(import.meta.dirname, '..', '..', 'workflows', 'histories');
/** The share of all sites that must be held. */
const HELD_SHARE = 0.9;
/** How many histories are tried for a site. */
const MOST_TRIED = 8;

const { values } = parseArgs({
  options: { choose: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
});

type Passed = RecordedHistory & Pick<Replayed, 'sites'>;

async function main(): Promise<number> {
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const silent = (): void => undefined;
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  const code = await instrument();
  try {
    const known = await replayAll(code, HISTORIES);
    if (values.choose !== undefined) known.push(...(await choose(code, known, values.choose)));
    return await check(code, known);
  } finally {
    code.close();
  }
}

/** Replays every history of a folder, the shortest first. @throws Error naming the one that today's code does not go through */
async function replayAll(code: Instrumented, folder: string): Promise<Passed[]> {
  const histories = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, name))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
    .sort((a, b) => a.text.length - b.text.length);
  const replayed = await code.replay(histories);
  return histories.map((history, at) => {
    const { sites = new Set<number>(), error = null } = replayed[at] ?? {};
    if (error !== null)
      throw new Error(`${history.path} is not replayed: ${error.message}`, { cause: error });
    return { ...history, sites };
  });
}

/** Copies histories until no other one passes a site that none passes yet, beginning with those that pass most. */
async function choose(code: Instrumented, known: readonly Passed[], folder: string): Promise<Passed[]> {
  const covered = new Set(known.flatMap(({ sites }) => [...sites]));
  const candidates = await replayAll(code, folder);
  const chosen: Passed[] = [];
  for (;;) {
    const news = candidates.map(({ sites }) => [...sites].filter((site) => !covered.has(site)).length);
    const most = Math.max(0, ...news);
    const next = most === 0 ? undefined : candidates[news.indexOf(most)];
    if (next === undefined) return chosen;
    copyFileSync(next.path, join(HISTORIES, next.path.split('/').at(-1) ?? ''));
    process.stderr.write(`${next.path}: ${most} more sites\n`);
    next.sites.forEach((site) => covered.add(site));
    chosen.push(next);
  }
}

async function check(code: Instrumented, known: readonly Passed[]): Promise<number> {
  const open: string[] = [];
  for (const [number, { file, line, code: text }] of code.sites.entries()) {
    if (!(await isHeld(code, known, number))) open.push(`${file}:${line} ${text}`);
  }
  const sites = code.sites.length;
  const held = sites - open.length;
  if (values.json === true) process.stdout.write(`${JSON.stringify({ sites, held, open })}\n`);
  else {
    for (const site of open) process.stdout.write(`not held: ${site}\n`);
    process.stdout.write(`${held} of ${sites} sites are held\n`);
  }
  return held >= sites * HELD_SHARE ? 0 : 1;
}

/** Whether a replay of some history fails that passes a site which asks for too much. */
async function isHeld(code: Instrumented, known: readonly Passed[], site: number): Promise<boolean> {
  const passing = known.filter(({ sites }) => sites.has(site)).slice(0, MOST_TRIED);
  if (passing.length === 0) return false;
  return (await code.replay(passing, site)).some(({ error }) => error !== null);
}

process.exitCode = await main();
