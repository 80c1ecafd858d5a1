import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';

/** The resources of a program and everything that it started. */
export interface Tree {
  /** Their process groups: Claude Code gives each of its shells and hooks a separate one. */
  readonly groups: ReadonlySet<number>;
  /** Resident memory, in bytes; shared memory counts for each process. */
  readonly rssBytes: number;
}

/** One process as the system lists it. */
interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly rssBytes: () => number;
}

/**
 * Examines a process group and the descendants of its members. Excludes daemons, which have left the process
 * tree: claude-mem's worker, which a hook may start, serves the whole machine and outlives the run.
 * @param how `shared`: a list that another run read a moment ago is good enough
 */
export async function inspectTree(root: number, how: 'shared' | 'fresh' = 'fresh'): Promise<Tree> {
  const all = membersOf(root, await (how === 'shared' ? sharedList() : list()));
  return {
    groups: new Set(all.map(({ group }) => group).filter((group) => group > 1)),
    rssBytes: all.reduce((sum, { rssBytes }) => sum + rssBytes(), 0),
  };
}

/**
 * Sends SIGTERM to every process in a sandbox, except bubblewrap's two. These are the one that was started, and
 * its child, which is the first process inside and the parent of every orphan.
 * @param root the process that was started
 * @returns how many received it
 */
export async function terminateEnclosed(root: number): Promise<number> {
  const members = membersOf(root, await list());
  const enclosed = members.filter(({ pid, parent }) => pid !== root && parent !== root);
  for (const { pid } of enclosed) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // It has ended already.
    }
  }
  return enclosed.length;
}

/** Returns the members of a group and their descendants. */
function membersOf(root: number, listed: readonly Listed[]): Listed[] {
  const children = Map.groupBy(listed, ({ parent }) => parent);
  const members = new Map<number, Listed>();
  const found = listed.filter(({ group }) => group === root);
  for (let one = found.pop(); one !== undefined; one = found.pop()) {
    if (members.has(one.pid)) continue;
    members.set(one.pid, one);
    found.push(...(children.get(one.pid) ?? []));
  }
  return [...members.values()];
}

/**
 * Maximum age of a process list that runs share, in milliseconds: it costs a read per process of the machine,
 * on the event loop.
 */
const SHARED_MS = 250;

let shared: { readonly at: number; readonly listed: Promise<Listed[]> } | null = null;

async function list(): Promise<Listed[]> {
  return process.platform === 'linux' ? listFromProc() : await listFromPs();
}

function sharedList(): Promise<Listed[]> {
  const now = performance.now();
  if (shared === null || now - shared.at >= SHARED_MS) shared = { at: now, listed: list() };
  return shared.listed;
}

/** Returns every running process, as listed by Linux. */
export function listFromProc(): Listed[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = readOrNothing(`/proc/${name}/stat`);
    // The name in brackets may contain brackets; proc(5): state, ppid, pgrp.
    const [state = 'X', parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (stat === '' || /[ZX]/.test(state)) return [];
    const rssBytes = (): number => {
      const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readOrNothing(`/proc/${name}/status`))?.[1];
      return Number(kib ?? 0) * 1_024;
    };
    return [{ pid: Number(name), parent: Number(parent), group: Number(group), rssBytes }];
  });
}

/** Returns every running process, as listed by `ps` on other systems. */
export async function listFromPs(): Promise<Listed[]> {
  const columns = ['-A', '-o', 'pid=,ppid=,pgid=,rss=,stat='];
  const { stdout } = await promisify(execFile)('ps', columns, { maxBuffer: 64_000_000 });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, kib, state] = line.trim().split(/\s+/);
    if (state === undefined || state.startsWith('Z')) return [];
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        group: Number(group),
        rssBytes: () => Number(kib) * 1_024,
      },
    ];
  });
}

/** Reads a file of a process, which may end after being listed. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
