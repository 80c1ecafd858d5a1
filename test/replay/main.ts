/**
 * Determines whether the recorded histories would detect a changed path of workflow code, and chooses more of them.
 * Every call with which a workflow asks Temporal for something is a site (sites.ts). A site is covered when a replay
 * fails after the site was changed to request one timer too many.
 */
import { copyFileSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Runtime } from '@temporalio/worker';
import { instrument, type Instrumented, type RecordedHistory, type Replayed } from './sites.ts';

const USAGE = `npm run replay [-- OPTIONS]
  --choose FOLDER  copies histories of that folder to workflows/histories/ that hold sites which none there holds
  --json           one JSON object on stdout
  Histories are recorded by the tests: MEMBRIDGE_RECORD_HISTORIES=FOLDER npm test
  Exit code 0 when nine of ten sites are held.`;

const HISTORIES = join(import.meta.dirname, '..', '..', 'workflows', 'histories');
/** The share of all sites that must be covered. */
const HELD_SHARE = 0.9;
/** How many histories are tried for a site. */
const MAX_TRIED_HISTORIES = 8;

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
    let open = await openOf(code, code.sites.keys(), await replayAll(code, HISTORIES));
    if (values.choose !== undefined) open = await choose(code, open, values.choose);
    return reportSites(code, open);
  } finally {
    code.close();
  }
}

/** Replays every history of a folder, shortest first. @throws Error naming the one that today's code does not replay */
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

/** Returns the sites that no history covers. */
async function openOf(
  code: Instrumented,
  sites: Iterable<number>,
  known: readonly Passed[],
): Promise<number[]> {
  const open: number[] = [];
  for (const site of sites) if ((await holderOf(code, known, site)) === null) open.push(site);
  return open;
}

/** Copies histories of a folder that cover open sites. @returns the sites that stay open */
async function choose(code: Instrumented, open: readonly number[], folder: string): Promise<number[]> {
  const candidates = await replayAll(code, folder);
  const left: number[] = [];
  for (const site of open) {
    const holder = await holderOf(code, candidates, site);
    if (holder === null) left.push(site);
    else copyFileSync(holder.path, join(HISTORIES, basename(holder.path)));
  }
  return left;
}

/** Returns a history whose replay fails when a site requests too much; null where there is none. */
async function holderOf(code: Instrumented, known: readonly Passed[], site: number): Promise<Passed | null> {
  const passing = known.filter(({ sites }) => sites.has(site)).slice(0, MAX_TRIED_HISTORIES);
  if (passing.length === 0) return null;
  const replayed = await code.replay(passing, site);
  return passing[replayed.findIndex(({ error }) => error !== null)] ?? null;
}

function reportSites(code: Instrumented, open: readonly number[]): number {
  const sites = code.sites.length;
  const held = sites - open.length;
  const lines = open.map((number) => {
    const { file = '', line = 0, code: text = '' } = code.sites[number] ?? {};
    return `${file}:${line} ${text}`;
  });
  if (values.json === true) process.stdout.write(`${JSON.stringify({ sites, held, open: lines })}\n`);
  else {
    for (const line of lines) process.stdout.write(`not held: ${line}\n`);
    process.stdout.write(`${held} of ${sites} sites are held\n`);
  }
  return held >= sites * HELD_SHARE ? 0 : 1;
}

process.exitCode = await main();
