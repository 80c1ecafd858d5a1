import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeSandboxedNode, type SandboxedNode } from '../tasks/sandboxed-node.ts';

/** Stands in every secret of these machines. */
const SECRET = 'MARK-OF-A-SECRET';

let node: SandboxedNode;
let bystander: ChildProcess | null = null;
beforeEach(() => {
  node = makeSandboxedNode();
});
afterEach(() => {
  bystander?.kill('SIGKILL');
  bystander = null;
  node.remove();
});

/** Fills a machine with secrets that no task may read. @returns the paths */
function hideSecrets(machine: SandboxedNode): string[] {
  return [
    'server/server.env',
    'server/agent/agent.json',
    'server/agent/sealing-keys.json',
    'server/agent/ledger.db',
    'server/agent/contexts/another/notes',
    '~/.ssh/id_ed25519',
    '~/.aws/credentials',
    '~/.config/membridge/agent.env',
    '~/.claude-mem/claude-mem.db',
    '~/.claude-mem-minio/config.env',
    '~/.membridge/agent.json',
    '~/.claude.json',
    '~/.claude/.credentials.json',
    '~/.bash_history',
    'neighbour/secrets.txt',
  ].map((path) => machine.write(path, SECRET));
}

/** Searches every file, except programs and the kernel's own. */
const SEARCH = `grep -rslF ${SECRET} / --exclude-dir=usr --exclude-dir=proc --exclude-dir=dev --exclude-dir=nix; echo searched`;

describe('S12: the sandbox of a task', () => {
  it('shows no secret of the machine, wherever it is', async () => {
    const secrets = hideSecrets(node);
    expect(await node.attack(SEARCH)).toBe('searched');
    for (const path of secrets) expect(await node.attack(`cat ${path}`)).toMatch(/No such file/);
  });

  it('finds a secret in the working folder by the same search', async () => {
    const path = node.write('server/agent/contexts/one/leak', SECRET);
    expect(await node.attack(SEARCH)).toBe(`${path}\nsearched`);
  });

  it('shows no process of the machine and no environment but its own', async () => {
    bystander = spawn('sleep', ['60'], { env: { PATH: process.env['PATH'], KEY: SECRET }, stdio: 'ignore' });
    await once(bystander, 'spawn');
    const { pid = 0 } = bystander;
    // The kernel shows the new environment a moment after the program has begun.
    await expect.poll(() => readFileSync(`/proc/${pid}/environ`, 'utf8')).toContain(SECRET);
    const read = await node.attack(`cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'`);
    expect(read).toContain('MEMBRIDGE_TASK_ID=t1');
    expect(read).not.toContain(SECRET);
    expect(read).not.toContain('vitest');
    await node.attack(`for each in $(seq 2 ${pid + 100}); do [ $each = $$ ] || kill -9 $each; done`);
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
  });

  it('passes on no open file of the sandbox’s set-up', async () => {
    // The process that started this one may have left it an open file that every child inherits.
    const left = execFileSync('sh', ['-c', 'ls /proc/$$/fd'], { encoding: 'utf8' });
    expect(`${await node.attack('ls /proc/$$/fd')}\n`).toBe(left);
    const claude = makeSandboxedNode({}, 'claude');
    try {
      claude.write('~/.claude.json', '{}');
      // A separate shell, because the one that makes a pipe or a redirection holds files of its own for a moment.
      await claude.run(`sh -c 'ls /proc/$$/fd; true' > files`);
      expect(readFileSync(join(claude.cwd, 'files'), 'utf8')).toBe(left);
    } finally {
      claude.remove();
    }
  });

  it('shows nothing in /etc that not everybody may read', async () => {
    expect(await node.attack('cat /etc/shadow')).toMatch(/Permission denied|No such file/);
    expect(await node.attack('cat /etc/passwd')).toContain('root:');
    expect(await node.attack('ls /etc/ssl/private')).not.toMatch(/\.key/);
  });

  it('removes every capability, and every way to new ones', async () => {
    const status = await node.attack('cat /proc/self/status');
    expect(status).toMatch(/CapEff:\s+0000000000000000/);
    expect(status).toMatch(/NoNewPrivs:\s+1/);
    const [secret = ''] = hideSecrets(node);
    const uncover = `umount /tmp; umount -l /tmp; umount /etc/shadow; mount -o remount,rw /etc; cat /etc/shadow ${secret}`;
    expect(await node.attack(uncover)).not.toMatch(new RegExp(`${SECRET}|root:`));
    expect(await node.attack(`unshare -Urm sh -c '${uncover}'`)).not.toMatch(new RegExp(`${SECRET}|root:`));
  });

  it('hides from the machine what a program writes outside of its folder', async () => {
    const script = node.write('bin/tool', '#!/bin/sh\n', 0o755);
    const targets = [
      `${node.home}/.bashrc`,
      `${node.home}/.ssh/authorized_keys`,
      `${node.dataDir}/agent.json`,
      join(node.dataDir, '..', 'server.env'),
      '/usr/local/bin/membridge-attack',
      '/etc/cron.d/membridge-attack',
      '/var/tmp/membridge-attack',
      '/tmp/membridge-attack',
      '/membridge-attack',
      `${script}.attack`,
    ];
    await node.attack(targets.map((path) => `mkdir -p $(dirname ${path}); echo bad > ${path}`).join('\n'));
    expect(targets.filter((path) => existsSync(path))).toEqual([]);
  });

  it('hides the keys of another agent or server below what it shows', async () => {
    const another = node.write('server/agent/contexts/one/.membridge/server.env', SECRET);
    const own = node.write('server/agent/contexts/one/own/.membridge', 'mine');
    expect(await node.attack(`cat ${another}`)).toMatch(/No such file/);
    expect(await node.attack(`cat ${own}`)).toBe('mine');
  });

  it('keeps a link in the working folder from leading out', async () => {
    const [secret = ''] = hideSecrets(node);
    symlinkSync(secret, join(node.cwd, 'link'));
    expect(await node.attack('cat link')).toMatch(/No such file/);
  });

  it('lets a program write in its working folder', async () => {
    expect(await node.attack('echo kept > result; pwd')).toBe(node.cwd);
    expect(readFileSync(join(node.cwd, 'result'), 'utf8')).toBe('kept\n');
  });

  it('lets a program write in the temporary folders', async () => {
    expect(await node.attack('for d in /tmp /var/tmp /dev/shm ~; do echo x > $d/f && cat $d/f; done')).toBe(
      'x\nx\nx\nx',
    );
  });

  it('lets a program reach HTTP on loopback', async () => {
    const server = createServer((_request, response) => response.end('pong')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = `fetch('http://127.0.0.1:${port}').then((r) => r.text()).then(console.log)`;
    expect(await node.attack(`${process.execPath} -e "${ask}"`)).toBe('pong');
    server.close();
  });

  it('shows what the owner lists, except the files of Membridge in it', async () => {
    const listing = makeSandboxedNode({ MEMBRIDGE_TASK_PATHS: '~/shared:~/.membridge:~' });
    try {
      const path = listing.write('~/shared/data', 'for tasks');
      hideSecrets(listing);
      expect(await listing.attack(`cat ${path}; echo new > ~/shared/new`)).toBe('for tasks');
      expect(existsSync(join(listing.home, 'shared', 'new'))).toBe(true);
      const found = (await listing.attack(SEARCH)).split('\n');
      // The whole home folder was listed. The files of Membridge and claude-mem stay hidden nevertheless.
      expect(found).toContain(`${listing.home}/.bash_history`);
      expect(
        found.filter((each) => /membridge\/|claude-mem/.test(each.replace(/^\/tmp\/[^/]*/, ''))),
      ).toEqual([]);
      // They cannot be moved out of their hiding place for the next task either.
      await listing.attack('mv ~/.config ~/.config2; rm -rf ~/.config ~/.claude-mem');
      expect(existsSync(join(listing.home, '.config', 'membridge', 'agent.env'))).toBe(true);
    } finally {
      listing.remove();
    }
  });
});

describe('S12: Claude Code in the sandbox', () => {
  let claude: SandboxedNode;
  beforeEach(() => {
    claude = makeSandboxedNode({}, 'claude');
  });
  afterEach(() => claude.remove());
  const result = (name: string): string => readFileSync(join(claude.cwd, name), 'utf8').trim();

  it('cannot change what the owner’s own Claude Code would run', async () => {
    const settings = claude.write('~/.claude/settings.json', '{}');
    const state = claude.write('~/.claude.json', '{"mcpServers":{}}');
    const plugin = claude.write('~/.claude/plugins/one/hook.js', 'fine');
    await claude.run(
      [settings, state, plugin, `${claude.home}/.claude/hooks/new`, `${claude.home}/.claude/CLAUDE.md`]
        .map((path) => `mkdir -p $(dirname ${path}); echo bad > ${path}`)
        .concat(`cat ${settings} ${plugin} > seen; cat ${state} > state`)
        .join('\n'),
    );
    expect([settings, state, plugin].map((path) => readFileSync(path, 'utf8'))).toEqual([
      '{}',
      '{"mcpServers":{}}',
      'fine',
    ]);
    expect(existsSync(join(claude.home, '.claude', 'hooks'))).toBe(false);
    expect(existsSync(join(claude.home, '.claude', 'CLAUDE.md'))).toBe(false);
    // It could read them, and its own copy of its state took what it wrote.
    expect(result('seen')).toBe('{}fine');
    expect(result('state')).toBe('bad');
  });

  it('cannot change them even where the owner lists the home folder', async () => {
    const open = makeSandboxedNode({ MEMBRIDGE_TASK_PATHS: '~' }, 'claude');
    try {
      const state = open.write('~/.claude.json', 'fine');
      const settings = open.write('~/.claude/settings.json', 'fine');
      const { error } = await open.run(
        `echo bad > ${state}; cat ${state} > copy; echo bad > ${settings}; exit 0`,
      );
      // It is no Claude Code: but for its answer nothing is wrong.
      expect(error?.code).toBe('no_answer');
      expect(readFileSync(join(open.cwd, 'copy'), 'utf8')).toBe('bad\n');
      expect([state, settings].map((path) => readFileSync(path, 'utf8'))).toEqual(['fine', 'fine']);
      expect(existsSync(join(open.home, '.claude-mem'))).toBe(false);
    } finally {
      open.remove();
    }
  });

  it('keeps its account and this folder’s conversations, and sees no others', async () => {
    const account = claude.write('~/.claude/.credentials.json', 'old');
    claude.write('~/.claude/projects/-other/talk.jsonl', SECRET);
    claude.write('~/.claude/history.jsonl', SECRET);
    const own = join(claude.home, '.claude', 'projects', claude.cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'));
    await claude.run(
      `echo new > ${account}; echo said > ${own}/talk.jsonl; ls ${own}/.. > others; ls ${claude.home}/.claude > all`,
    );
    expect(readFileSync(account, 'utf8')).toBe('new\n');
    expect(readFileSync(join(own, 'talk.jsonl'), 'utf8')).toBe('said\n');
    expect(result('others').split('\n')).toHaveLength(1);
    expect(result('all').split('\n')).toEqual(['projects']);
  });

  it('reads claude-mem’s settings, and neither reads nor makes a database of it', async () => {
    claude.write('~/.claude-mem/settings.json', '{"CLAUDE_MEM_WORKER_PORT":"37777"}');
    const database = claude.write('~/.claude-mem/claude-mem.db', SECRET);
    const folder = `${claude.home}/.claude-mem`;
    await claude.run(
      `cat ${folder}/settings.json > seen; echo line > ${folder}/logs/log && echo logged > log
       cat ${database} > secret; echo bad > ${database}; echo bad > ${folder}/other.db; ls -A ${folder} > all`,
    );
    expect(result('seen')).toContain('37777');
    expect(result('log')).toBe('logged');
    expect(result('secret')).toBe('');
    expect(result('all').split('\n')).toEqual(['logs', 'settings.json']);
    expect(readFileSync(database, 'utf8')).toBe(SECRET);
  });
});
