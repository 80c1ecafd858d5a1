/**
 * A lock between processes. A file names its holder by pid and start time, so that a lock left by a killed process is
 * recognized and taken over. Plain JavaScript on node: modules only, because the bootstrap uses it.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Returns when a process started, as an opaque string that no later process with the same pid shares.
 * @param {number} pid
 * @returns {string | undefined} undefined when no such process runs (a zombie does not run)
 */
export function startTimeOf(pid) {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name in brackets may itself hold brackets and blanks. The fields after it are fixed (proc(5): 3 state, 22
      // starttime).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    const [state, ...started] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], options)
      .trim()
      .split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock if it is free or its holder is gone.
 * @param {string} file the lock file; its folder is created
 * @returns {{ release(): void } | { heldBy: number }} the lock, or the pid of the process that holds it
 */
export function tryLock(file) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const mine = `${process.pid} ${startTimeOf(process.pid)}`;
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      const handle = openSync(file, 'wx', 0o600);
      writeSync(handle, mine);
      closeSync(handle);
      return { release: () => removeIf(file, mine) };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = readHolder(file);
    if (holder === undefined) continue;
    if (holder.alive) return { heldBy: holder.pid };
    removeIf(file, holder.text);
  }
  return { heldBy: readHolder(file)?.pid ?? 0 };
}

/**
 * Waits for the lock, for as long as its holder lives.
 * @param {string} file the lock file
 * @param {(pid: number) => void} onWait called once when another process holds it
 * @returns {Promise<{ release(): void }>}
 */
export async function waitForLock(file, onWait) {
  for (let told = false; ;) {
    const result = tryLock(file);
    if ('release' in result) return result;
    if (!told) onWait(result.heldBy);
    told = true;
    await sleep(200);
  }
}

function readHolder(file) {
  try {
    const text = readFileSync(file, 'utf8');
    const [pid, ...started] = text.split(' ');
    if (text === '') {
      // The file was created a moment ago and is still empty, unless its writer died between the two steps.
      return { pid: 0, text, alive: Date.now() - statSync(file).mtimeMs < 5_000 };
    }
    return { pid: Number(pid), text, alive: startTimeOf(Number(pid)) === started.join(' ') };
  } catch {
    return undefined;
  }
}

/** Removes the lock if it still has the content that was read: another process may have taken it over in between. */
function removeIf(file, expected) {
  const aside = `${file}.${process.pid}.old`;
  try {
    if (readFileSync(file, 'utf8') !== expected) return;
    renameSync(file, aside);
    rmSync(aside, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
