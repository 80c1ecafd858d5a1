/** `npm test`: every check, in one command. The last line says how many passed and failed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { elapsed } from '../stack/machine.mjs';
import { errorMessage } from '../contract/errors.ts';
import { debianPrograms, findChromium, findDebianProgram, findTool } from '../stack/tools.ts';
import { run, runChecks, say, runStep, type Tally } from './checks.ts';

const USAGE = `npm test [-- FILTER ...]
  Without FILTER: format, lint with import walls, types, pinned dependencies, dead code, then every test;
    where CI=true also a short run on Temporal's production server.
  With FILTER: only the tests whose path contains it.
  --changed         only the tests that reach a file which differs from the last commit
  --engine server   on Temporal's production server with PostgreSQL instead of its development server:
                    FILTER, or without one what needs an engine most, the demo, and two minutes of chaos.`;

/** The tests that need Temporal most: those that run workflows. */
const ENGINE_TESTS = [
  'workflows/',
  'engine/',
  'test/tasks/tasks',
  'test/projects',
  'test/faults',
  'test/webhooks',
];

/** A short run on the production server, for every change: a sync of memory, and a leased task. */
const SMOKE_TESTS = ['workflows/memory-space.test', 'test/tasks/tasks.test'];

/** Vitest's own report: how many tests there were and how they ended. */
const VitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numFailedTestSuites: z.number(),
});

const began = Date.now();

/** Runs vitest and adds its figures. In CI, a skipped test counts as failed: all tests must run there. */
async function runTests(
  filters: readonly string[],
  tally: Tally,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-report-'));
  const report = join(folder, 'report.json');
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters];
  const ok = await run('vitest', args, env);
  try {
    const result = VitestReport.parse(JSON.parse(readFileSync(report, 'utf8')));
    const skipped = process.env['CI'] === 'true' ? result.numPendingTests : 0;
    tally.passed += result.numPassedTests;
    tally.failed += result.numFailedTests + skipped;
    if (skipped > 0) say(`FAILED  ${skipped} tests were skipped, which CI does not allow`);
    if (!ok && result.numFailedTests === 0) tally.failed += Math.max(1, result.numFailedTestSuites);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs tests on Temporal's production server. Without a filter it runs those that need Temporal most, the demo, and
 * two minutes of chaos.
 */
async function runOnServer(filters: readonly string[], tally: Tally): Promise<void> {
  const env = { ...process.env, MEMBRIDGE_TEMPORAL_ENGINE: 'server' };
  await runTests(filters.length === 0 ? ENGINE_TESTS : filters, tally, env);
  if (filters.length > 0) return;
  const programs = {
    demo: ['demo/main.ts', '--once'],
    chaos: ['test/chaos/main.ts', 'tasks', '--minutes', '2'],
  };
  for (const [name, args] of Object.entries(programs)) {
    await runStep(`${name} on the production server`, tally, () => run(process.execPath, args, env));
  }
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      engine: { type: 'string', default: 'development' },
      changed: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const isOnServer = values.engine === 'server';
  if (!isOnServer && values.engine !== 'development') {
    say(`--engine is "${values.engine}"; it must be "development" or "server".\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const tally: Tally = { passed: 0, failed: 0 };
  // Builds and installations come first, so that nothing fails half-way for lack of them.
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const isWhole = positionals.length === 0 && !values.changed;
  const isSmoked = isWhole && process.env['CI'] === 'true';
  if (!isOnServer) await findTool('temporal', log);
  if (isOnServer || isSmoked) await findTool('temporal-server', log);
  await findTool('minio', log);
  await findChromium(log);
  for (const name of Object.keys(debianPrograms) as (keyof typeof debianPrograms)[]) {
    try {
      findDebianProgram(name, log);
    } catch (error) {
      // Where nothing may be installed, its tests are skipped or fail, and CI accepts neither.
      log(errorMessage(error));
    }
  }
  if (isOnServer) {
    await runOnServer(positionals, tally);
  } else {
    if (isWhole) await runChecks(tally);
    await runTests(values.changed ? ['--changed', ...positionals] : positionals, tally);
    if (isSmoked) await runOnServer(SMOKE_TESTS, tally);
  }
  say(`\nin ${elapsed(began)}`);
  say(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

process.exit(await main());
