/** Checks that need no test, and how programs of node_modules/.bin are run. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { elapsed } from '../stack/machine.mjs';
import { unpinnedDependencies } from './pinned.ts';

/** How many checks or tests passed and failed. */
export interface Tally {
  passed: number;
  failed: number;
}

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs a program of node_modules/.bin with our own streams. @returns whether it exited with 0 */
export async function run(
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

/** Runs one step, reports how it ended and counts it. */
export async function runStep(name: string, tally: Tally, work: () => Promise<boolean>): Promise<void> {
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

interface Check {
  readonly name: string;
  readonly work: () => Promise<boolean>;
}

const CHECKS = {
  format: { name: 'format', work: () => run('prettier', ['--check', '--log-level', 'warn', '.']) },
  lint: { name: 'lint and import walls', work: () => run('oxlint', ['--type-aware', '--deny-warnings']) },
  types: { name: 'types', work: () => run('tsc', ['-p', 'tsconfig.json']) },
  pinned: { name: 'pinned dependencies', work: checkPinned },
  dead: { name: 'dead code', work: () => run('knip', []) },
} satisfies Record<string, Check>;

/** The checks by their names on the command line. */
export type CheckName = keyof typeof CHECKS;
export const CHECK_NAMES = Object.keys(CHECKS) as readonly CheckName[];

/** Runs checks one after another and counts them. @param names all when absent */
export async function runChecks(tally: Tally, names: readonly CheckName[] = CHECK_NAMES): Promise<void> {
  for (const name of names) await runStep(CHECKS[name].name, tally, CHECKS[name].work);
}

/** Applies automatic repairs: the format, and fixes of the linter. @returns whether nothing is left */
export async function fix(): Promise<boolean> {
  const isLinted = await run('oxlint', ['--type-aware', '--deny-warnings', '--fix']);
  const isFormatted = await run('prettier', ['--write', '--log-level', 'warn', '.']);
  return isLinted && isFormatted;
}
