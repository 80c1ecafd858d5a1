/**
 * How git authenticates at the server: with the project's credential if there is one, else with what the user
 * has set up.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { NodeCredential } from '../contract/projects/projects.ts';
import { gitEnvironment } from './environment.ts';
import { makeRedactor, type Redact } from './redact.ts';

/** How to start a git that contacts the server. */
export interface Access {
  /** For commands that contact the server: contains the credential. */
  readonly env: Readonly<Record<string, string>>;
  /** For all other commands: without credential, and unable to contact any server. */
  readonly localEnv: Readonly<Record<string, string>>;
  /** A folder of the agent's own while this access is open. */
  readonly folder: string;
  /** Arguments before git's command. */
  readonly settings: readonly string[];
  readonly redact: Redact;
  /** Removes key files and helpers. */
  close(): Promise<void>;
}

const FOLDER_PREFIX = 'access-';

/** Folders that this process is using; a sweep leaves them alone. */
const foldersInUse = new Set<string>();

/** Seconds until an unanswered connection attempt is abandoned. */
const CONNECT_S = 20;

/**
 * git asks this program `Username for 'https://host': ` and `Password for 'https://user@host': `. It answers
 * only for the host of the project's address, so a redirect or a submodule on another host gets nothing. The
 * secret is in its environment, never in a file.
 */
const ASKPASS = `#!/bin/sh
address=\${1#*" for '"}
address=\${address%"': "}
scheme=\${address%%://*}
authority=\${address#*://}
# What git decoded of an address may hold anything: an authority with a slash in it is none.
case "$authority" in */*) exit 1 ;; esac
[ "$scheme://\${authority##*@}" = "$MEMBRIDGE_GIT_ORIGIN" ] || exit 1
case "$1" in
  Username*) printf '%s\\n' "$MEMBRIDGE_GIT_USER" ;;
  Password*) printf '%s\\n' "$MEMBRIDGE_GIT_TOKEN" ;;
  *) exit 1 ;;
esac
`;

/** Prepares git's access to an address, in a dedicated folder with mode 0700. */
export async function openAccess(
  repoUrl: string,
  given: NodeCredential,
  where: { workDir: string },
): Promise<Access> {
  const env = gitEnvironment(process.env);
  const localEnv = { ...env, GIT_ALLOW_PROTOCOL: 'none' };
  const settings: string[] = [];
  await mkdir(where.workDir, { recursive: true, mode: 0o700 });
  await chmod(where.workDir, 0o700);
  const folder = await mkdtemp(join(where.workDir, FOLDER_PREFIX));
  foldersInUse.add(folder);
  const close = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    foldersInUse.delete(folder);
  };
  try {
    const { credential } = given;
    const ssh = await sshCommand(given, folder, env);
    if (ssh !== null) env['GIT_SSH_COMMAND'] = ssh;
    const origin = /^(https?:\/\/)(?:[^/]*@)?([^/]+)/i.exec(repoUrl);
    if (credential?.kind === 'token' && origin !== null) {
      const askpass = join(folder, 'askpass');
      await writeFile(askpass, ASKPASS, { mode: 0o700 });
      const server = `${origin[1]?.toLowerCase()}${origin[2]}`;
      Object.assign(env, {
        GIT_ASKPASS: askpass,
        MEMBRIDGE_GIT_ORIGIN: server,
        MEMBRIDGE_GIT_USER: credential.username,
        MEMBRIDGE_GIT_TOKEN: credential.token,
      });
      // An empty value removes the user's helpers, which would be asked first and would receive our token
      // afterwards.
      for (const key of ['credential.helper', `credential.${server}.helper`]) settings.push('-c', `${key}=`);
    }
    return { env, localEnv, folder, settings, redact: makeRedactor(given), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Removes what a killed agent left in its folder of keys. */
export async function sweepAccess(workDir: string): Promise<void> {
  const names = await readdir(workDir).catch(() => []);
  const folders = names.filter((name) => name.startsWith(FOLDER_PREFIX)).map((name) => join(workDir, name));
  const left = folders.filter((folder) => !foldersInUse.has(folder));
  await Promise.all(left.map((folder) => rm(folder, { recursive: true, force: true })));
}

/** Returns the ssh command for git as a shell word list; null where the user's own command stays. */
async function sshCommand(
  { credential, known_hosts: knownHosts }: NodeCredential,
  folder: string,
  env: Record<string, string>,
): Promise<string | null> {
  const options: string[] = [];
  if (knownHosts !== null) {
    const file = join(folder, 'known_hosts');
    await writeFile(file, `${knownHosts.replaceAll('\r\n', '\n').trimEnd()}\n`, { mode: 0o600 });
    options.push(
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile="${file}"`,
      'GlobalKnownHostsFile=/dev/null',
    );
  }
  const ours = [
    'BatchMode=yes',
    `ConnectTimeout=${CONNECT_S}`,
    // A connection that outlives git would hold its streams open.
    'ControlPersist=no',
    ...(knownHosts === null ? ['StrictHostKeyChecking=yes'] : []),
  ];
  if (credential?.kind === 'ssh-key') {
    const file = join(folder, 'key');
    await writeFile(file, `${credential.private_key.replaceAll('\r\n', '\n').trimEnd()}\n`, { mode: 0o600 });
    ours.push('IdentitiesOnly=yes', 'IdentityAgent=none', 'PasswordAuthentication=no');
    return shellCommand(`ssh -i ${quoted(file)}`, [...options, ...ours]);
  }
  const own = env['GIT_SSH_COMMAND'] ?? (await readUserSetting('core.sshCommand', folder, env));
  if (own === null && env['GIT_SSH'] !== undefined) return null;
  // Without a terminal and a helper, the user's own command cannot stop to ask a question.
  if (own !== null) return options.length === 0 ? null : shellCommand(own, options);
  return shellCommand('ssh', [...options, ...ours]);
}

const shellCommand = (program: string, options: readonly string[]): string =>
  [program, ...options.map((option) => `-o ${quoted(option)}`)].join(' ');

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * Reads a setting of the machine's user, never of a clone, because a program that ran in the clone may have
 * written it.
 */
async function readUserSetting(
  key: string,
  folder: string,
  env: Record<string, string>,
): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('git', ['config', '--get', key], {
      cwd: folder,
      env: { ...env, GIT_CEILING_DIRECTORIES: dirname(folder) },
    });
    return stdout.trim() === '' ? null : stdout.trim();
  } catch {
    return null;
  }
}
