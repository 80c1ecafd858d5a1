/** `npm run bench -- sandbox`: what the sandbox adds to a program's start and end. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAgentConfig } from '../agent/config.ts';
import { sandboxOptions } from '../agent/tasks/sandbox.ts';
import type { RunSpec } from '../contract/tasks/runs.ts';
import { runProgram } from '../runner/run.ts';
import { openSandbox, type Sandbox } from '../runner/sandbox/sandbox.ts';
import { findDebianProgram } from '../stack/tools.ts';
import { distribution, single, type Result } from './results.ts';

/** Programs of each kind, alternating, so that other load on the machine affects both alike. */
const PROGRAMS = 200;
/** The first programs read files that later ones find in memory. */
const WARM_UP = 10;
/** The most milliseconds that the sandbox may add at the median. */
const GOAL_MS = 20;

/** Measures in one run a program that does nothing, with and without the sandbox. */
export async function benchSandbox(_root: string, log: (line: string) => void): Promise<Result[]> {
  findDebianProgram('bubblewrap', log);
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-bench-'));
  const cwd = join(dataDir, 'contexts', 'one');
  mkdirSync(cwd, { recursive: true });
  try {
    const results: Result[] = [];
    for (const [runner, name] of [
      ['["true"]', 'true'],
      [JSON.stringify([process.execPath, '--version']), 'node --version'],
    ] as const) {
      log(`${name} ...`);
      const config = readAgentConfig({ MEMBRIDGE_AGENT_DATA_DIR: dataDir, MEMBRIDGE_RUNNER: runner });
      const options = sandboxOptions(config);
      if (options === null) throw new Error('bubblewrap is not on the PATH');
      const enclosing = openSandbox(options);
      const run = async (sandbox: Sandbox | null): Promise<number> => {
        const began = performance.now();
        const { error } = await runProgram({
          spec: SPEC,
          prompt: '',
          cwd,
          command: config.runner,
          sandbox,
          sessionsDir: join(dataDir, 'sessions'),
          databasePath: config.databasePath,
          signal: new AbortController().signal,
          output: () => undefined,
        });
        if (error !== null) throw new Error(error.message);
        return performance.now() - began;
      };
      const open: number[] = [];
      const enclosed: number[] = [];
      for (let n = 0; n < PROGRAMS + WARM_UP; n += 1) {
        const times = [await run(null), await run(enclosing)] as const;
        if (n < WARM_UP) continue;
        open.push(times[0]);
        enclosed.push(times[1]);
      }
      const without = distribution(`\`${name}\` without a sandbox`, 'start to end', 'ms', open);
      const within = distribution(`\`${name}\` in the sandbox`, 'start to end', 'ms', enclosed);
      const added = (within.p50 ?? 0) - (without.p50 ?? 0);
      results.push(without, within, {
        ...single(`\`${name}\``, 'added by the sandbox, at the median', 'ms', added),
        goal: `≤ ${GOAL_MS}`,
        met: added <= GOAL_MS,
      });
    }
    return results;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const SPEC: RunSpec = {
  taskId: 'bench',
  epoch: 1,
  token: '1.1',
  contextId: 'bench',
  agentSlug: 'default',
  prompt: { text: '' },
  hints: [],
  format: 'text',
  artifactType: 'LLM_RESULT',
  limits: {
    timeoutMs: 60_000,
    memoryMb: null,
    outputBytes: 1_000_000,
    budgetUsd: null,
    contextTokens: 1_000,
  },
  project: null,
  priority: 0,
  ttlMs: 60_000,
  slotWaitMs: 0,
};
