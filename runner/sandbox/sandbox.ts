import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { errorMessage } from '../../contract/errors.ts';
import type { RunError } from '../../contract/tasks/runs.ts';
import { runFailure } from '../failures.ts';
import { sandboxArguments } from './arguments.ts';
import { makeConversationFolder } from './claude.ts';
import { realPath } from './paths.ts';
import { sandboxView, type SandboxOptions } from './view.ts';

/** A program to run in a sandbox. */
export interface Enclosed {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The command to start instead. */
export interface Enclosing {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Open files for it after its three streams, and before a pipe; close them here once it has started. */
  readonly files: readonly number[];
}

/** Encloses programs, so that they see little of the machine and end together. */
export interface Sandbox {
  /** @throws the file system's error when the machine's files cannot be examined */
  enclose(call: Enclosed): Enclosing;
}

/** Time limit of the trial, in milliseconds. */
const TRIAL_MS = 10_000;

/** Opens sandboxes of bubblewrap. */
export function openSandbox(options: SandboxOptions): Sandbox {
  return {
    enclose: (call) => {
      const { command, home } = options;
      if (command.kind === 'claude') makeConversationFolder(call.env, realPath(home), realPath(call.cwd));
      return enclose(options, call);
    },
  };
}

function enclose(options: SandboxOptions, { program, args: own, cwd, env }: Enclosed): Enclosing {
  const folder = realPath(cwd);
  const inside = environmentInside(env);
  const { args, files } = sandboxArguments(sandboxView(options, folder, inside), folder);
  const handles: number[] = [];
  try {
    for (const file of files) handles.push(openSync(file, 'r'));
  } catch (error) {
    for (const handle of handles) closeSync(handle);
    throw error;
  }
  return { program: options.bwrap, args: [...args, program, ...own], env: inside, files: handles };
}

/** Removes variables that name folders missing in the sandbox. */
function environmentInside(env: Enclosed['env']): Record<string, string> {
  const { XDG_RUNTIME_DIR: _runtime, ...inside } = env;
  return 'TMPDIR' in inside ? { ...inside, TMPDIR: '/tmp' } : inside;
}

/**
 * Starts a complete sandbox with a program that does nothing.
 * @param cwd an existing folder
 * @returns why that failed; null when it worked
 */
export function trySandbox(options: SandboxOptions, cwd: string): string | null {
  const env = { PATH: process.env['PATH'] ?? '' };
  try {
    const { program, args, files } = enclose(options, { program: 'true', args: [], cwd, env });
    const stdio = ['ignore' as const, 'ignore' as const, 'pipe' as const, ...files, 'pipe' as const];
    const { error, status, stderr } = spawnSync(program, args, { cwd, env, stdio, timeout: TRIAL_MS });
    for (const file of files) closeSync(file);
    if (error !== undefined) return errorMessage(error);
    if (status === 0) return null;
    const said = String(stderr).trim().split('\n').at(-1) ?? '';
    return said === '' ? `bwrap ended with exit code ${status}` : said;
  } catch (error) {
    return errorMessage(error);
  }
}

/**
 * Reads bubblewrap's pipe.
 * @returns the number of the first process in the sandbox, once known
 */
export function readFirstProcess(pipe: Readable): { readonly first: number | null } {
  const known: { first: number | null } = { first: null };
  let text = '';
  pipe.on('error', () => undefined);
  pipe.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    known.first ??= Number(/"child-pid": (\d+)\D/.exec(text)?.[1] ?? 0) || null;
  });
  return known;
}

/**
 * Returns bubblewrap's message on standard error when the program could not be started; null for anything
 * else.
 */
export function findSandboxFailure(exitCode: number | null, stderr: string): RunError | null {
  const [, said] = /^bwrap: (.*)/.exec(stderr) ?? [];
  if (exitCode !== 1 || said === undefined) return null;
  return said.startsWith('execvp ')
    ? runFailure(
        'runner_missing',
        `The program cannot be run in the sandbox: ${said.slice('execvp '.length)}.`,
      )
    : runFailure('sandbox_failed', `The sandbox could not be made: ${said}. See "membridge doctor".`);
}
