import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { endGroup, startOf } from '../git/processes.ts';

/** Sees to it that no process group of a run outlives the agent, however the agent ends. */
export interface Guard {
  /** The group is to be killed should this process end before it is removed. One that has already ended is passed over. */
  add(group: number): void;
  remove(group: number): void;
  /** Ends the guard; what was not removed is killed. Resolves when it has ended. */
  close(): Promise<void>;
}

/** What is written down for the next agent, should this one and its guard die. */
const Listed = z.object({
  /** Which start of the machine it is from: start times are counted from there. */
  boot: z.string(),
  groups: z.array(z.object({ group: z.number().int().min(2), start: z.string() })),
});

/** How long a guard must have lived for another to take its place at once, and how long to wait otherwise, in milliseconds. */
const LIVED_MS = 1_000;

/** How long closing waits for the guard's end, in milliseconds. */
const CLOSE_MS = 5_000;

/**
 * Starts the guard, a small process of its own.
 * @param dir where the groups are written down too, for `sweepGroups`
 */
export function openGuard(dir: string): Guard {
  return new ProcessGuard(dir);
}

/**
 * Ends the process groups that a former agent left, if its guard died too. To be called before any run.
 * @returns the groups that were ended
 */
export async function sweepGroups(dir: string): Promise<number[]> {
  const ended = await Promise.all(
    readListed(dir).map(async ({ group, start }) => ((await endStarted(group, start)) ? [group] : [])),
  );
  rmSync(listPath(dir), { force: true });
  return ended.flat();
}

/** Ends a group, unless its number is by now some other program's. @returns whether it was there */
async function endStarted(group: number, start: string): Promise<boolean> {
  if (startOf(group) !== start) return false;
  await endGroup(group);
  return true;
}

class ProcessGuard implements Guard {
  readonly #dir: string;
  /** Groups by number, with when they were started. */
  readonly #groups = new Map<number, string>();
  #child: ChildProcessByStdio<Writable, null, null> | null = null;
  #restart: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(dir: string) {
    this.#dir = dir;
    this.#start();
  }

  add(group: number): void {
    const start = startOf(group);
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
    // The guard has killed them, unless it had died just now.
    await Promise.all([...this.#groups].map(([group, start]) => endStarted(group, start)));
    rmSync(listPath(this.#dir), { force: true });
  }

  #start(): void {
    const startedAt = Date.now();
    // In a session of its own, so that no Ctrl-C reaches it; without our environment, which holds keys.
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
    // The guard does not keep this process alive, the less so as it waits for its end.
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
      writeFileSync(draft, JSON.stringify({ boot: bootOf(), groups }), { mode: 0o600 });
      renameSync(draft, listPath(this.#dir));
    } catch {
      // The file is for the case that the guard dies too; a full disk must not stop a run.
    }
  }
}

const listPath = (dir: string): string => join(dir, 'running-groups.json');

function readListed(dir: string): z.infer<typeof Listed>['groups'] {
  try {
    const listed = Listed.parse(JSON.parse(readFileSync(listPath(dir), 'utf8')));
    return listed.boot === bootOf() ? listed.groups : [];
  } catch {
    return [];
  }
}

/** This start of the machine; elsewhere than on Linux start times are dates, and need none. */
function bootOf(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
