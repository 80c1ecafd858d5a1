/** `npm test`: every check there is, in one command. The last line says how many passed and failed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { elapsed } from '../stack/machine.mjs';
import { errorMessage } from '../contract/errors.ts';
import { debianPrograms, findChromium, findDebianProgram, findTool } from '../stack/tools.ts';
import { unpinnedDependencies } from './pinned.ts';

const USAGE = `npm test [-- FILTER ...]
  Without FILTER: format, lint with import walls, types, pinned dependencies, dead code, then every test;
    where CI=true also a short run on Temporal's production server.
  With FILTER: only the tests whose path contains it.
  --engine server   on Temporal's production server with PostgreSQL instead of its development server:
                    FILTER, or without one what needs an engine most, the demo, and two minutes of chaos.`;

/** What needs an engine most: the tests that run workflows. */
const ENGINE_TESTS = ['workflows/', 'engine/', 'test/tasks', 'test/projects', 'test/faults', 'test/webhooks'];

/** A short run on the production server, for every change: how memory is synced, and a task leased. */
const SMOKE_TESTS = ['workflows/memory-space.test', 'test/tasks.test'];

/** Vitest's own report: how many tests there were and how they ended. */
const VitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numFailedTestSuites: z.number(),
});

interface Tally {
  passed: number;
  failed: number;
}

const began = Date.now();
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs a program of node_modules/.bin with our own streams. @returns whether it exited with 0 */
async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<boolean> {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
  });
}

async function step(name: string, tally: Tally, work: () => Promise<boolean>): Promise<void> {
  const start = Date.now();
  const ok = await work();
  tally[ok ? 'passed' : 'failed'] += 1;
  say(`${ok ? 'ok    ' : 'FAILED'}  ${name} (${elapsed(start)})`);
}

async function checkPinned(): Promise<boolean> {
  const loose = unpinnedDependencies(JSON.parse(readFileSync('package.json', 'utf8')));
  for (const dependency of loose) say(`  ${dependency} is not pinned to one version`);
  return await Promise.resolve(loose.length === 0);
}

/** Runs vitest and adds its figures. A skipped test counts as failed in CI: nothing may be left out there. */
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

async function runChecks(tally: Tally): Promise<void> {
  await step('format', tally, () => run('prettier', ['--check', '--log-level', 'warn', '.']));
  await step('lint and import walls', tally, () => run('oxlint', ['--type-aware', '--deny-warnings']));
  await step('types', tally, () => run('tsc', ['-p', 'tsconfig.json']));
  await step('pinned dependencies', tally, checkPinned);
  await step('dead code', tally, () => run('knip', []));
}

/** Runs tests on Temporal's production server; without a choice those that need an engine most, the demo, and two minutes of chaos. */
async function runOnServer(filters: readonly string[], tally: Tally): Promise<void> {
  const env = { ...process.env, MEMBRIDGE_TEMPORAL_ENGINE: 'server' };
  await runTests(filters.length === 0 ? ENGINE_TESTS : filters, tally, env);
  if (filters.length > 0) return;
  const programs = {
    demo: ['demo/main.ts', '--once'],
    chaos: ['test/chaos/main.ts', 'tasks', '--minutes', '2'],
  };
  for (const [name, args] of Object.entries(programs)) {
    await step(`${name} on the production server`, tally, () => run(process.execPath, args, env));
  }
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      engine: { type: 'string', default: 'development' },
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
  // What has to be built or installed comes first, so that nothing fails half-way for want of it.
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const isSmoked = positionals.length === 0 && process.env['CI'] === 'true';
  if (!isOnServer) await findTool('temporal', log);
  if (isOnServer || isSmoked) await findTool('temporal-server', log);
  await findTool('minio', log);
  await findChromium(log);
  for (const name of Object.keys(debianPrograms) as (keyof typeof debianPrograms)[]) {
    try {
      findDebianProgram(name, log);
    } catch (error) {
      // Where nothing may be installed, its tests are skipped or fail, and CI takes neither.
      log(errorMessage(error));
    }
  }
  if (isOnServer) {
    await runOnServer(positionals, tally);
  } else {
    if (positionals.length === 0) await runChecks(tally);
    await runTests(positionals, tally);
    if (isSmoked) await runOnServer(SMOKE_TESTS, tally);
  }
  say(`\nin ${elapsed(began)}`);
  say(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

process.exit(await main());
