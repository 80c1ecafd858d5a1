import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';

/** What a program and everything that it started take up. */
export interface Tree {
  /** Process groups of theirs: Claude Code gives each of its shells and hooks one of its own. */
  readonly groups: ReadonlySet<number>;
  /** Resident memory, in bytes; what processes share counts for each of them. */
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
 * Looks at a process group and at the descendants of its members. What has taken itself out of their descent (a daemon)
 * is not among them: claude-mem's worker, which a hook may start, serves the whole machine and outlives the run.
 * @param how `shared`: what another run saw a moment ago will do
 */
export async function inspectTree(root: number, how: 'shared' | 'fresh' = 'fresh'): Promise<Tree> {
  const all = membersOf(root, await (how === 'shared' ? sharedList() : list()));
  return {
    groups: new Set(all.map(({ group }) => group).filter((group) => group > 1)),
    rssBytes: all.reduce((sum, { rssBytes }) => sum + rssBytes(), 0),
  };
}

/**
 * Sends SIGTERM to everything in a sandbox, but not to the two processes of bubblewrap that hold it: the one that was started, and its
 * child, which is the first process in there and the parent of every orphan.
 * @param root the process that was started
 * @returns how many were sent it
 */
export async function terminateEnclosed(root: number): Promise<number> {
  const members = membersOf(root, await list());
  const enclosed = members.filter(({ pid, parent }) => pid !== root && parent !== root);
  for (const { pid } of enclosed) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // It has ended by itself.
    }
  }
  return enclosed.length;
}

/** The members of a group and their descendants. */
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

/** How old a list may be that runs share, in milliseconds: it costs a read per process of the machine, on the event loop. */
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

/** Every process that runs, as Linux tells. */
export function listFromProc(): Listed[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = readOrNothing(`/proc/${name}/stat`);
    // The name in brackets may itself hold brackets; proc(5): state, ppid, pgrp.
    const [state = 'X', parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (stat === '' || /[ZX]/.test(state)) return [];
    const rssBytes = (): number => {
      const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readOrNothing(`/proc/${name}/status`))?.[1];
      return Number(kib ?? 0) * 1_024;
    };
    return [{ pid: Number(name), parent: Number(parent), group: Number(group), rssBytes }];
  });
}

/** Every process that runs, as `ps` tells on other systems. */
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

/** A process may end between being listed and being looked at. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
