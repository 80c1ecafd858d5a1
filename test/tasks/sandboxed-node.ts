import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readAgentConfig } from '../../agent/config.ts';
import { sandboxOptions } from '../../agent/tasks/sandbox.ts';
import { runProgram, type RunOutcome } from '../../runner/run.ts';
import { openSandbox, type Sandbox } from '../../runner/sandbox/sandbox.ts';
import { findDebianProgram } from '../../stack/tools.ts';
import { makeSpec } from './runner-node.ts';

/** A test machine with secrets in many places, and tasks in the sandbox of its agent's settings. */
export interface SandboxedNode {
  readonly home: string;
  readonly cwd: string;
  /** The agent's own folder; the server's keys are in the folder above it. */
  readonly dataDir: string;
  readonly sandbox: Sandbox;
  /** Writes a file below the machine's folder, or the home folder if the path begins with `~/`. @returns its path */
  write(path: string, text: string, mode?: number): string;
  /** Runs a shell script as a task's program. @returns its output, trimmed */
  attack(script: string): Promise<string>;
  /** Does the same, and returns how it ended. */
  run(script: string, limits?: { timeoutMs?: number; memoryMb?: number }): Promise<RunOutcome>;
  remove(): void;
}

/**
 * Makes such a machine.
 * @param settings of the agent
 * @param runner `sh` runs the prompt; `claude` also runs it, and the sandbox treats it as Claude Code
 */
export function makeSandboxedNode(
  settings: Readonly<Record<string, string>> = {},
  runner: 'sh' | 'claude' = 'sh',
): SandboxedNode {
  findDebianProgram('bubblewrap', (line) => process.stderr.write(`${line}\n`));
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'membridge-sandbox-')));
  const home = join(folder, 'home');
  const dataDir = join(folder, 'server', 'agent');
  const cwd = join(dataDir, 'contexts', 'one');
  mkdirSync(cwd, { recursive: true });
  mkdirSync(home);
  const write = (path: string, text: string, mode = 0o600): string => {
    const file = path.startsWith('~/') ? join(home, path.slice(2)) : join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
    return file;
  };
  const claude = write('bin/claude', '#!/bin/sh\nexec sh\n', 0o700);
  const env = {
    MEMBRIDGE_AGENT_DATA_DIR: dataDir,
    MEMBRIDGE_RUNNER: runner === 'sh' ? '["sh"]' : claude,
    ...settings,
  };
  const before = process.env['HOME'];
  process.env['HOME'] = home;
  const config = readAgentConfig(env);
  process.env['HOME'] = before;
  const options = sandboxOptions(config);
  if (options === null) throw new Error('bwrap is not on the PATH');
  const sandbox = openSandbox(options);
  let shown = '';
  let runs = 0;
  const run: SandboxedNode['run'] = async (prompt, limits = {}) => {
    runs += 1;
    return await runProgram({
      // Of one context, what was said before would be put in front of the script.
      spec: makeSpec({ limits, contextId: `c${runs}` }),
      prompt,
      cwd,
      command: config.runner,
      sessionsDir: join(dataDir, 'sessions'),
      databasePath: config.databasePath,
      sandbox,
      signal: new AbortController().signal,
      output: (stream, text) => {
        if (stream === 'stdout') shown += text;
      },
    });
  };
  return {
    home,
    cwd,
    dataDir,
    sandbox,
    write,
    run,
    attack: async (script) => {
      shown = '';
      await run(`exec 2>&1\nHOME=${home}\n${script}\n`);
      return shown.trim();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Returns the machine's processes whose command line holds a text. */
export function processesWith(text: string): number[] {
  const listed = execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' });
  return listed
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => Number(line.trim().split(' ')[0]));
}
