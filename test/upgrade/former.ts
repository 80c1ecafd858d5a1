import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { waitForLock } from '../../stack/lock.mjs';
import { cacheDir } from '../../stack/machine.mjs';

/** The previous release, as a commit of this repository. */
export const FORMER = { release: '0.4.0', commit: '4fafe1ee291d04d3542a0478021f2c23be2d1f82' };

/**
 * Extracts the previous release from this repository's history and installs its packages, once per machine.
 * @param root this checkout, with its history
 * @returns the folder of the previous release's checkout
 * @throws when the history lacks the commit (a shallow clone), or npm cannot install the packages
 */
export async function formerRelease(root: string, log: (line: string) => void): Promise<string> {
  const folder = join(cacheDir(), `release-${FORMER.release}-${FORMER.commit.slice(0, 7)}`);
  const lock = await waitForLock(`${folder}.lock`, (pid) => log(`waiting for process ${pid} ...`));
  try {
    if (existsSync(folder)) return folder;
    log(`taking Membridge ${FORMER.release} out of the history, once ...`);
    const making = `${folder}.partial`;
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { recursive: true });
    const archive = execFileSync('git', ['-C', root, 'archive', FORMER.commit], {
      maxBuffer: 256 * 1024 ** 2,
    });
    execFileSync('tar', ['-x', '-C', making], { input: archive });
    // The bootstrap installs the packages before it runs any script.
    execFileSync(process.execPath, ['stack/bootstrap.mjs', 'demo/main.ts', '--help'], {
      cwd: making,
      stdio: ['ignore', 2, 2],
    });
    renameSync(making, folder);
    return folder;
  } finally {
    lock.release();
  }
}
