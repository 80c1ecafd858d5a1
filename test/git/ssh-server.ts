import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../stack/ports.ts';
import { findDebianProgram } from '../../stack/tools.ts';

/** A real sshd on loopback, whose only account is the user that runs the test. */
export interface GitSshServer {
  /** `ssh://user@127.0.0.1:port`; a repository's address is this and its folder's full path. */
  readonly url: string;
  /** The lines of a known_hosts file. */
  readonly knownHosts: string;
  /** A private key that the server accepts. */
  readonly goodKey: string;
  /** A private key that the server does not know. */
  readonly otherKey: string;
  stop(): Promise<void>;
}

/** Starts sshd with its own host key, configuration and accounts. @throws when there is none and none can be installed */
export async function startGitSshServer(): Promise<GitSshServer> {
  const sshd = findDebianProgram('sshd', (line) => process.stderr.write(`${line}\n`));
  const folder = mkdtempSync(join(tmpdir(), 'membridge-sshd-'));
  const port = await freePort();
  const host = makeKey(folder, 'host');
  const good = makeKey(folder, 'good');
  const other = makeKey(folder, 'other');
  writeFileSync(join(folder, 'authorized_keys'), good.publicKey, { mode: 0o600 });
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'MaxStartups 100',
    '',
  ].join('\n');
  writeFileSync(join(folder, 'sshd_config'), config);
  // Debian's sshd needs the folder that its service would have made.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const log = join(folder, 'sshd.log');
  const server = spawn(sshd, ['-D', '-f', join(folder, 'sshd_config'), '-E', log], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  await listening(port, log);
  return {
    url: `ssh://${userInfo().username}@127.0.0.1:${port}`,
    knownHosts: `[127.0.0.1]:${port} ${host.publicKey}`,
    goodKey: good.privateKey,
    otherKey: other.privateKey,
    stop: async () => {
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeKey(folder: string, name: string): { privateKey: string; publicKey: string } {
  const file = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
  return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8') };
}

async function listening(port: number, log: string): Promise<void> {
  appendFileSync(log, '');
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`sshd does not listen: ${readFileSync(log, 'utf8')}`);
}
