/** `npm test`: every check there is, in one command. The last line says how many passed and failed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { elapsed } from '../stack/machine.mjs';
import { errorMessage } from '../contract/errors.ts';
import { findBubblewrap, findChromium, findSshd, findTool } from '../stack/tools.ts';
import { unpinnedDependencies } from './pinned.ts';

const USAGE = `npm test [-- FILTER ...]
  Without FILTER: format, lint with import walls, types, pinned dependencies, dead code, then every test.
  With FILTER: only the tests whose path contains it.`;

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
async function run(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
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
async function runTests(filters: readonly string[], tally: Tally): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-report-'));
  const report = join(folder, 'report.json');
  const ok = await run('vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...filters,
  ]);
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

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const tally: Tally = { passed: 0, failed: 0 };
  // What has to be built or installed comes first, so that nothing fails half-way for want of it.
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  await findTool('temporal', log);
  await findTool('minio', log);
  await findChromium(log);
  for (const find of [findSshd, findBubblewrap]) {
    try {
      find(log);
    } catch (error) {
      // Where nothing may be installed, its tests are skipped or fail, and CI takes neither.
      log(errorMessage(error));
    }
  }
  if (positionals.length === 0) {
    await step('format', tally, () => run('prettier', ['--check', '--log-level', 'warn', '.']));
    await step('lint and import walls', tally, () => run('oxlint', ['--type-aware', '--deny-warnings']));
    await step('types', tally, () => run('tsc', ['-p', 'tsconfig.json']));
    await step('pinned dependencies', tally, checkPinned);
    await step('dead code', tally, () => run('knip', []));
  }
  await runTests(positionals, tally);
  say(`\nin ${elapsed(began)}`);
  say(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

process.exit(await main());
