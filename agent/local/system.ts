import { execFile } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { arch, freemem, hostname, release, totalmem, type, uptime } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Agent } from '../agent.ts';
import { AGENT_VERSION } from '../node-facts.ts';

/** The checkout that this agent runs from. */
const CHECKOUT = dirname(dirname(import.meta.dirname));

/** How long a program may take to print its version, in milliseconds. */
const PROGRAM_TIMEOUT_MS = 5_000;

/** Returns the one line that a program prints; null when it cannot be run or fails. */
async function readLineOf(program: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, [...args], {
      cwd: CHECKOUT,
      timeout: PROGRAM_TIMEOUT_MS,
    });
    return stdout.trim() === '' ? null : stdout.trim();
  } catch {
    return null;
  }
}

let version: Promise<{ git_version: string | null; git_commit: string | null }> | null = null;

/** Returns the commit that this agent runs from, read from git once; null where it is no checkout. */
export function readGitVersion(): Promise<{ git_version: string | null; git_commit: string | null }> {
  version ??= Promise.all([
    readLineOf('git', ['describe', '--tags', '--always']),
    readLineOf('git', ['rev-parse', '--short', 'HEAD']),
  ]).then(([described, commit]) => ({ git_version: described, git_commit: commit }));
  return version;
}

/** Returns what starts services on this machine, in the original's words and one more. */
export function initSystem(): 'systemd' | 'openrc' | 'launchd' | 'unknown' {
  if (process.platform === 'darwin') return 'launchd';
  if (existsSync('/run/systemd/system')) return 'systemd';
  return existsSync('/sbin/openrc') ? 'openrc' : 'unknown';
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** Returns the size of the file system that holds the agent's data, in GB of 10^9 bytes. */
export function readDiskOf(dataDir: string): { total: number; free: number; usedPercent: number } {
  const { bavail, blocks, bsize } = statfsSync(dataDir);
  return {
    total: round((blocks * bsize) / 1e9),
    free: round((bavail * bsize) / 1e9),
    usedPercent: round(100 - (100 * bavail) / blocks),
  };
}

/** Returns the answer to the original's `GET /system-info`. */
export async function readSystemInfo({ config, state }: Agent): Promise<Record<string, unknown>> {
  const { total, free } = readDiskOf(config.dataDir);
  const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return {
    hostname: hostname(),
    node_id: state.enrolment.node_id,
    os: `${type()} ${release()}`,
    arch: arch(),
    python: null,
    node: process.version,
    init_system: initSystem(),
    agent_version: AGENT_VERSION,
    agent_dir: config.dataDir,
    repos_base: config.reposBase,
    uptime: `up ${Math.floor(uptime() / 60)} minutes`,
    memory_mb: {
      total: megabytes(totalmem()),
      used: megabytes(totalmem() - freemem()),
      free: megabytes(freemem()),
    },
    disk_gb: { total, free },
    claude_cli: await readLineOf('claude', ['--version']),
  };
}
