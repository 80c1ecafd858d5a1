import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { endGroup, startTimeOf } from '../git/processes.ts';

/** Ensures that no process group of a run outlives the agent, however the agent ends. */
export interface Guard {
  /**
   * Marks a group to be killed if this process ends before it is removed. Ignores a group that has already
   * ended.
   */
  add(group: number): void;
  remove(group: number): void;
  /** Closes the guard, which kills the remaining groups. Resolves when it has ended. */
  close(): Promise<void>;
}

/** The record for the next agent, in case this one and its guard both die. */
const Listed = z.object({
  /** The machine's boot, because start times count from it. */
  boot: z.string(),
  groups: z.array(z.object({ group: z.number().int().min(2), start: z.string() })),
});

/**
 * A guard that lived this long is replaced at once; otherwise the replacement waits this long, in
 * milliseconds.
 */
const LIVED_MS = 1_000;

/** How long closing waits for the guard's end, in milliseconds. */
const CLOSE_MS = 5_000;

/**
 * Starts the guard in a small separate process.
 * @param dir where the groups are also written, for `sweepGroups`
 */
export function openGuard(dir: string): Guard {
  return new ProcessGuard(dir);
}

/**
 * Ends the process groups that a former agent left behind, if its guard died too. Call before any run.
 * @returns the groups that were ended
 */
export async function sweepGroups(dir: string): Promise<number[]> {
  const ended = await Promise.all(
    readListed(dir).map(async ({ group, start }) => ((await endStarted(group, start)) ? [group] : [])),
  );
  rmSync(listPath(dir), { force: true });
  return ended.flat();
}

/**
 * Ends a group unless another program uses its number now.
 * @returns whether it existed
 */
async function endStarted(group: number, start: string): Promise<boolean> {
  if (startTimeOf(group) !== start) return false;
  await endGroup(group);
  return true;
}

class ProcessGuard implements Guard {
  readonly #dir: string;
  /** Groups by number, with their start times. */
  readonly #groups = new Map<number, string>();
  #child: ChildProcessByStdio<Writable, null, null> | null = null;
  #restart: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(dir: string) {
    this.#dir = dir;
    this.#start();
  }

  add(group: number): void {
    const start = startTimeOf(group);
    if (start === null || group < 2) return;
    this.#groups.set(group, start);
    this.#say(`+${group} ${start}`);
    this.#write();
  }

  remove(group: number): void {
    if (!this.#groups.delete(group)) return;
    this.#say(`-${group}`);
    this.#write();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.ref();
      child.stdin.end();
      await Promise.race([exited, sleep(CLOSE_MS, undefined, { ref: false })]);
    }
    // The guard has killed them, unless it died just before.
    await Promise.all([...this.#groups].map(([group, start]) => endStarted(group, start)));
    rmSync(listPath(this.#dir), { force: true });
  }

  #start(): void {
    const startedAt = Date.now();
    // In a separate session, so that Ctrl-C does not reach it, and without our environment, which contains
    // keys.
    const child = spawn(process.execPath, [join(import.meta.dirname, 'guard-process.ts')], {
      cwd: '/',
      detached: true,
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    const gone = (): void => {
      if (this.#closed || this.#child !== child) return;
      this.#child = null;
      const lived = Date.now() - startedAt;
      this.#restart = setTimeout(() => this.#start(), lived > LIVED_MS ? 0 : LIVED_MS - lived);
      this.#restart.unref();
    };
    child.once('error', gone);
    child.once('exit', gone);
    // The guard must not keep this process alive, because it waits for this process's end.
    child.unref();
    (child.stdin as Writable & { unref?: () => void }).unref?.();
    for (const [group, start] of this.#groups) this.#say(`+${group} ${start}`);
  }

  #say(line: string): void {
    if (this.#child?.stdin.writable === true) this.#child.stdin.write(`${line}\n`);
  }

  #write(): void {
    const groups = [...this.#groups].map(([group, start]) => ({ group, start }));
    const draft = `${listPath(this.#dir)}.new`;
    try {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      writeFileSync(draft, JSON.stringify({ boot: readBootId(), groups }), { mode: 0o600 });
      renameSync(draft, listPath(this.#dir));
    } catch {
      // The file is only for the case that the guard dies too; a full disk must not stop a run.
    }
  }
}

const listPath = (dir: string): string => join(dir, 'running-groups.json');

function readListed(dir: string): z.infer<typeof Listed>['groups'] {
  try {
    const listed = Listed.parse(JSON.parse(readFileSync(listPath(dir), 'utf8')));
    return listed.boot === readBootId() ? listed.groups : [];
  } catch {
    return [];
  }
}

/** Returns an id of this boot. On systems other than Linux, start times are dates and need none. */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
