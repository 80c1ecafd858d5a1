import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitForLock } from '../../stack/lock.mjs';
import { cacheDir } from '../../stack/machine.mjs';

/** The release of claude-mem whose worker the tests run; fixtures/claude-mem has its tables. */
export const CLAUDE_MEM = '13.25.3';
const BUN = '1.4.5';

const CLAUDE_MEM_SHA512 =
  'Hqa33Vv8YJ5fnaHzZc3HC3JihHagHji5O9R66ZBIKn3DDPOlaDfI5X2oxuSdtp7kRMsEpMc2p7wMXPEe0kZG9g==';
/** By platform: bun's package, and the SHA-512 of its tarball. */
const BUNS: Readonly<Record<string, readonly [name: string, sha512: string]>> = {
  'linux-x64': [
    '@oven/bun-linux-x64',
    'IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==',
  ],
  'linux-arm64': [
    '@oven/bun-linux-aarch64',
    '4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==',
  ],
  'darwin-x64': [
    '@oven/bun-darwin-x64',
    'qkLPMGHZM9NI6CeHTWwVezzmlo6cC4Ta7yUAjYIWXS366qQcOlcp75t2uZyiuVRBMPS0h9qE0tCcvCHGaFqjJg==',
  ],
  'darwin-arm64': [
    '@oven/bun-darwin-aarch64',
    '4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==',
  ],
};

/** The worker's script and the program that runs it. */
export interface WorkerProgram {
  readonly bun: string;
  readonly script: string;
}

/**
 * Fetches claude-mem (Apache-2.0) and bun (MIT) as npm publishes them, once a machine, checked against the digests here.
 * For tests only: nothing of either is part of Membridge. Two packages rather than dependencies: what claude-mem
 * declares besides (an authentication framework, 20 grammars) is nothing that its worker needs here, and takes npm more
 * than ten minutes to resolve; and neither's install scripts are run.
 * @throws when npm cannot fetch them, when one is not what its digest says, or where bun does not run
 */
export async function installWorker(): Promise<WorkerProgram> {
  const platform = `${process.platform}-${process.arch}`;
  const bun = BUNS[platform];
  if (bun === undefined)
    throw new Error(`claude-mem's worker needs bun, which is not pinned for ${platform}.`);
  const target = join(cacheDir(), `claude-mem-${CLAUDE_MEM}-bun-${BUN}`);
  const program = {
    bun: join(target, 'bun', 'bin', 'bun'),
    script: join(target, 'claude-mem', 'plugin', 'scripts', 'worker-service.cjs'),
  };
  if (existsSync(target)) return program;
  mkdirSync(cacheDir(), { recursive: true });
  const lock = await waitForLock(`${target}.lock`, () => undefined);
  try {
    if (existsSync(target)) return program;
    const partial = `${target}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    await unpack(`claude-mem@${CLAUDE_MEM}`, CLAUDE_MEM_SHA512, partial, 'claude-mem');
    await unpack(`${bun[0]}@${BUN}`, bun[1], partial, 'bun');
    // Moved into place whole: a half install is never taken for done.
    renameSync(partial, target);
    return program;
  } finally {
    lock.release();
  }
}

async function unpack(what: string, sha512: string, folder: string, name: string): Promise<void> {
  const run = promisify(execFile);
  const { stdout } = await run('npm', ['pack', what, '--silent', '--pack-destination', folder], {
    cwd: folder,
  });
  const tarball = join(folder, stdout.trim().split('\n').at(-1) ?? '');
  const found = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (found !== sha512) throw new Error(`${what} is not the package it was: its SHA-512 is ${found}.`);
  const into = join(folder, name);
  mkdirSync(into);
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', into]);
  rmSync(tarball);
}
