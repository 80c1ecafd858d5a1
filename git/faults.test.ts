import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGitNode, makeSpec, type GitNode } from '../test/git/node.ts';
import { git, startGitServers, type GitServers } from '../test/git/servers.ts';
import { sweepFolder, sweepPartials } from './partials.ts';
import { isGroupAlive, startTimeOf } from './processes.ts';

let servers: GitServers;
let node: GitNode;
let number = 0;

const fresh = (bytes: number): { repoUrl: string } => {
  number += 1;
  return { repoUrl: `${servers.open.url}/${servers.create(`r${number}`, { bytes }).name}.git` };
};

/** Returns the process group of the clone in progress in a folder. */
async function groupIn(folder: string): Promise<number> {
  for (;;) {
    const partial = readdirSync(folder).find((name) => name.endsWith('.partial'));
    const text =
      partial &&
      existsSync(join(folder, partial, 'owner.json')) &&
      readFileSync(join(folder, partial, 'owner.json'), 'utf8');
    if (text && text.includes('"group"')) return (JSON.parse(text) as { group: number }).group;
    await sleep(10);
  }
}

beforeAll(async () => {
  servers = await startGitServers();
});
afterAll(async () => {
  await servers.stop();
});
beforeEach(() => {
  node = makeGitNode();
});
afterEach(() => {
  servers.open.trouble = { kind: 'none' };
  node.remove();
});

describe('a clone that fails', () => {
  it('is abandoned when the server stops sending, and leaves nothing behind', async () => {
    const spec = fresh(2_000_000);
    servers.open.trouble = { kind: 'stall', afterBytes: 500_000 };
    expect(await node.failure(spec, { stallMs: 1_000 })).toMatchObject({
      code: 'clone_stalled',
      message: expect.stringMatching(/has sent nothing for 1 s/),
    });
    expect(node.files()).toEqual([]);
    servers.open.trouble = { kind: 'none' };
    expect(await node.clone(spec)).toMatchObject({ outcome: 'cloned' });
  });

  it('is not abandoned on a slow server as long as data arrives', async () => {
    const spec = fresh(1_500_000);
    servers.open.trouble = { kind: 'slow', everyMs: 150 };
    expect(await node.clone(spec, { stallMs: 2_000 })).toMatchObject({ outcome: 'cloned' });
  });

  it('may be retried when the server breaks the connection', async () => {
    const spec = fresh(2_000_000);
    servers.open.trouble = { kind: 'break-off', afterBytes: 500_000 };
    expect(await node.failure(spec)).toMatchObject({ code: 'git_unreachable', retryable: true });
    expect(node.files()).toEqual([]);
  });

  it('ends at its time limit, and removes the folders created for it', async () => {
    const spec = { ...fresh(2_000_000), targetPath: 'deep/er/app' };
    servers.open.trouble = { kind: 'stall', afterBytes: 500_000 };
    expect(await node.failure(spec, { timeoutMs: 1_000 })).toMatchObject({
      code: 'clone_timeout',
      message: expect.stringMatching(/app within 1 s/),
    });
    expect(node.files()).toEqual([]);
  });

  it('ends every process when it is canceled', async () => {
    const spec = fresh(2_000_000);
    servers.open.trouble = { kind: 'stall', afterBytes: 500_000 };
    const stop = new AbortController();
    const sending = servers.open.sending();
    const clone = node.clone(spec, { signal: stop.signal });
    await sending;
    const group = await groupIn(node.base);
    expect(isGroupAlive(group)).toBe(true);
    stop.abort(new Error('somebody cancelled'));
    await expect(clone).rejects.toThrow('somebody cancelled');
    expect(isGroupAlive(group)).toBe(false);
    expect(node.files()).toEqual([]);
    expect(readdirSync(node.work)).toEqual([]);
  });

  it('leaves nothing behind after the next call when its process was killed', async () => {
    const spec = fresh(2_000_000);
    for (const clear of ['clone', 'sweep'] as const) {
      servers.open.trouble = { kind: 'slow', everyMs: 200 };
      const input = JSON.stringify({ spec: makeSpec(spec), base: node.base, work: node.work });
      const sending = servers.open.sending();
      const script = join(import.meta.dirname, '..', 'test', 'git', 'clone-once.ts');
      const child = spawn(process.execPath, [script, input], { stdio: ['ignore', 'ignore', 'inherit'] });
      await sending;
      const group = await groupIn(node.base);
      // While its owner lives, a sweep leaves an unfinished clone alone.
      await sweepPartials(node.base);
      expect(readdirSync(node.base)).toHaveLength(1);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(node.files()).not.toContain('app');
      servers.open.trouble = { kind: 'none' };
      if (clear === 'clone') {
        expect(await node.clone(spec)).toMatchObject({ outcome: 'cloned' });
        expect(readdirSync(node.base)).toEqual(['app']);
        expect(git(join(node.base, 'app'), 'fsck')).toBe('');
        rmSync(join(node.base, 'app'), { recursive: true });
      } else {
        await sweepPartials(node.base);
        expect(readdirSync(node.base)).toEqual([]);
      }
      expect(isGroupAlive(group)).toBe(false);
    }
  });

  it('never ends processes named inside a repository', async () => {
    const victim = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    const pid = victim.pid ?? 0;
    const inside = join(node.base, 'app', '.x.membridge-0123456789ab.partial');
    mkdirSync(join(node.base, 'app', '.git'), { recursive: true });
    mkdirSync(inside);
    const owner = { pid: 999_999_999, start: 'x', group: pid, groupStart: startTimeOf(pid) };
    writeFileSync(join(inside, 'owner.json'), JSON.stringify(owner));
    try {
      await sweepPartials(node.base);
      await sweepFolder(join(node.base, 'app'), node.base);
      expect(isGroupAlive(pid)).toBe(true);
      expect(existsSync(inside)).toBe(true);
      // An old folder of ours that names an unknown group is removed, and no process is ended.
      const ours = join(node.base, '.x.membridge-0123456789ab.partial');
      mkdirSync(ours);
      writeFileSync(
        join(ours, 'owner.json'),
        JSON.stringify({ ...owner, group: 1, groupStart: startTimeOf(1) }),
      );
      utimesSync(ours, 1, 1);
      await sweepPartials(node.base);
      expect(existsSync(ours)).toBe(false);
      expect(isGroupAlive(pid)).toBe(true);
    } finally {
      victim.kill('SIGKILL');
      rmSync(join(node.base, 'app'), { recursive: true });
    }
  });

  it('leaves no half pack in the clone when an update is abandoned', async () => {
    number += 1;
    const theirs = servers.create(`r${number}`);
    const spec = { repoUrl: `${servers.open.url}/${theirs.name}.git` };
    await node.clone(spec);
    // Otherwise git unpacks few objects as they arrive.
    git(join(node.base, 'app'), 'config', 'fetch.unpackLimit', '1');
    theirs.push({ more: randomBytes(2_000_000) });
    const packs = join(node.base, 'app', '.git', 'objects', 'pack');
    const before = readdirSync(packs);
    servers.open.trouble = { kind: 'stall', afterBytes: 500_000 };
    expect(await node.failure(spec, { stallMs: 1_000 })).toMatchObject({ code: 'clone_stalled' });
    expect(readdirSync(packs)).toEqual(before);
    servers.open.trouble = { kind: 'none' };
    expect(await node.clone(spec)).toMatchObject({ outcome: 'updated' });
  });

  it('may run in two processes at once: one creates the clone, the other finds it', async () => {
    const spec = fresh(2_000_000);
    servers.open.trouble = { kind: 'slow', everyMs: 30 };
    const input = JSON.stringify({ spec: makeSpec(spec), base: node.base, work: node.work });
    const script = join(import.meta.dirname, '..', 'test', 'git', 'clone-once.ts');
    const child = spawn(process.execPath, [script, input], { stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(child, 'exit');
    await servers.open.sending();
    const result = await node.clone(spec);
    expect(await exited).toEqual([0, null]);
    expect(['cloned', 'unchanged']).toContain(result.outcome);
    expect(readdirSync(node.base)).toEqual(['app']);
  });

  it('reports a missing ssh', async () => {
    const path = process.env['PATH'];
    const bin = join(node.folder, 'bin');
    mkdirSync(bin);
    for (const program of ['git', 'sh']) {
      symlinkSync(execFileSync('which', [program], { encoding: 'utf8' }).trim(), join(bin, program));
    }
    process.env['PATH'] = bin;
    try {
      expect(await node.failure({ repoUrl: 'git@127.0.0.1:any' })).toMatchObject({
        code: 'git_missing',
        message: expect.stringMatching(/ssh/),
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('reports a full disk and leaves it as it was', async ({ skip }) => {
    const spec = fresh(3_000_000);
    const disk = join(node.base, 'disk');
    mkdirSync(disk);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'pipe' });
    } catch {
      skip('a small disk can only be mounted by root');
    }
    try {
      expect(await node.failure({ ...spec, targetPath: 'disk/app' })).toMatchObject({
        code: 'disk_full',
        message: expect.stringMatching(/disk of this node is full/),
      });
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('reports a missing git', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = node.folder;
    try {
      expect(await node.failure({ repoUrl: `${servers.open.url}/any` })).toMatchObject({
        code: 'git_missing',
      });
    } finally {
      process.env['PATH'] = path;
    }
  });
});
