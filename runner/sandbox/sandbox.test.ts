import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDebianProgram } from '../../stack/tools.ts';
import { makeRunnerNode, type RunnerNode } from '../../test/tasks/runner-node.ts';
import { openSandbox, trySandbox, type Sandbox } from './sandbox.ts';
import type { SandboxOptions } from './view.ts';

let node: RunnerNode;
beforeEach(() => {
  node = makeRunnerNode();
});
afterEach(() => node.remove());

const optionsFor = (program: string, more: Partial<SandboxOptions> = {}): SandboxOptions => ({
  bwrap: findDebianProgram('bubblewrap', () => undefined),
  home: join(node.folder, 'home'),
  command: { kind: 'other', program, args: [] },
  paths: [],
  hidden: [],
  memoryFolders: [],
  ...more,
});

/** Runs a program in a sandbox. */
const run = async (program: string, sandbox: Sandbox) =>
  await node.run('hello', { command: { kind: 'other', program, args: [] }, sandbox });

describe('a program in a sandbox', () => {
  it('receives its prompt, answers, and its exit code is reported', async () => {
    const good = node.script('good', `process.stdin.pipe(process.stdout);`);
    expect(await run(good, openSandbox(optionsFor(good)))).toMatchObject({ answer: 'hello', exitCode: 0 });
    const bad = node.script('bad', `process.stderr.write('no luck'); process.exitCode = 7;`);
    expect(await run(bad, openSandbox(optionsFor(bad)))).toMatchObject({
      exitCode: 7,
      error: { code: 'program_failed', message: 'no luck' },
    });
  });

  it('is distinguished from a failed sandbox when it is not installed', async () => {
    expect((await run('no-such-program', openSandbox(optionsFor('no-such-program')))).error).toMatchObject({
      code: 'runner_missing',
      retryable: false,
    });
  });

  it('is not started when the sandbox cannot be created, and another attempt may help', async () => {
    const program = node.script('program', `require('node:fs').writeFileSync('started', '');`);
    const bwrap = node.script(
      'bwrap',
      `process.stderr.write('bwrap: no namespaces here\\n'); process.exit(1);`,
    );
    const options = optionsFor(program, { bwrap });
    expect((await run(program, openSandbox(options))).error).toMatchObject({
      code: 'sandbox_failed',
      message: expect.stringContaining('no namespaces here'),
      retryable: true,
    });
    expect(existsSync(join(node.cwd, 'started'))).toBe(false);
    expect(trySandbox(options, node.cwd)).toBe('bwrap: no namespaces here');
  });

  it('finds the folders that its variables name', async () => {
    const program = node.script(
      'program',
      `require('node:fs').writeFileSync('env', JSON.stringify([process.env.TMPDIR, process.env.XDG_RUNTIME_DIR ?? null, require('node:os').tmpdir()]));`,
    );
    const before = { ...process.env };
    Object.assign(process.env, { TMPDIR: '/var/folders/x', XDG_RUNTIME_DIR: '/run/user/0' });
    try {
      await run(program, openSandbox(optionsFor(program)));
    } finally {
      for (const name of ['TMPDIR', 'XDG_RUNTIME_DIR']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
    expect(JSON.parse(readFileSync(join(node.cwd, 'env'), 'utf8'))).toEqual(['/tmp', null, '/tmp']);
  });
});
