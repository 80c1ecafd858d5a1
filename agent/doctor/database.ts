import { existsSync, readFileSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { errorMessage } from '../../contract/errors.ts';
import { findLiveDatabase } from '../../memory/claude-mem/data-folder.ts';
import type { AgentConfig } from '../config.ts';
import type { Check } from '../../contract/nodes/remote-calls.ts';
import { findBadPlaces, findConflictCopies } from './location.ts';

/** Reports which database this agent syncs, why it is that one, and whether claude-mem uses it. */
export function examineDatabase({ databasePath, database }: AgentConfig): Check {
  const problems = [...findSettingProblems(databasePath), ...findOtherDatabases(databasePath)];
  const path = `${databasePath}, because ${database.decidedBy}`;
  const name = 'database';
  if (problems.length > 0) return { name, ok: false, detail: `${path}. ${problems.join(' ')}` };
  const standard = findStandard();
  if (standard !== null && existsSync(standard) && !isSameFile(standard, databasePath)) {
    const detail = `${path}. claude-mem's own settings lead to ${standard}: unset CLAUDE_MEM_DB if that is the one in use`;
    return { name, ok: true, warning: true, detail };
  }
  return { name, ok: true, detail: path };
}

/** Reports whether the database and the ledger lie where an SQLite file is safe. */
export function examinePlace({ databasePath, dataDir }: AgentConfig): Check {
  const found: string[] = [];
  const places = findBadPlaces(databasePath);
  const copies = findConflictCopies(databasePath);
  for (const { what, where } of places) found.push(`${databasePath} lies in ${what}, ${where}.`);
  if (copies.length > 0) found.push(`Beside it are copies of two machines' changes: ${copies.join(', ')}.`);
  const ledger = join(dataDir, 'ledger.db');
  const ledgerPlaces = findBadPlaces(ledger);
  for (const { what, where } of ledgerPlaces) found.push(`The agent's ${ledger} lies in ${what}, ${where}.`);
  const name = 'place';
  if (found.length === 0) {
    return { name, ok: true, detail: `${dirname(databasePath)} is a folder of this machine alone` };
  }
  found.push('A program that copies the file while SQLite writes it damages it or loses memories.');
  if (places.length + copies.length > 0) {
    found.push(
      "End Claude Code, stop claude-mem's worker, move the folder to a local disk outside of it, set CLAUDE_MEM_DATA_DIR to the new place in ~/.claude-mem/settings.json, and restart the agent: Membridge keeps machines in step without it.",
    );
  }
  if (ledgerPlaces.length > 0) {
    found.push(
      `Stop the agent, move ${dataDir} to a local disk, set MEMBRIDGE_AGENT_DATA_DIR to it, and start the agent.`,
    );
  }
  return { name, ok: false, detail: found.join(' ') };
}

/** Returns what is wrong with the settings as they are now. */
function findSettingProblems(databasePath: string): string[] {
  try {
    const now = findLiveDatabase({ env: process.env, home: homedir() });
    const isMoved = now.path !== databasePath;
    const moved = `Now ${now.decidedBy}: ${now.path}. Restart the agent.`;
    return [...now.warnings, ...(isMoved ? [moved] : [])];
  } catch (error) {
    return [errorMessage(error)];
  }
}

/** Returns the database that claude-mem's settings alone select; null where they are unclear. */
function findStandard(): string | null {
  try {
    return findLiveDatabase({ env: { ...process.env, CLAUDE_MEM_DB: undefined }, home: homedir() }).path;
  } catch {
    return null;
  }
}

/** Returns other databases that this user's claude-mem workers have open (Linux: /proc). */
function findOtherDatabases(databasePath: string): string[] {
  if (!existsSync('/proc/self/fd')) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter(isWorkerOfThisHome).flatMap((pid) => {
    const other = openDatabases(pid).find((path) => !isSameFile(path, databasePath));
    if (other === undefined) return [];
    return [
      `claude-mem's worker (process ${pid}) uses ${other}, which is another file: set CLAUDE_MEM_DB to it, or correct CLAUDE_MEM_DATA_DIR, and restart the agent.`,
    ];
  });
}

function isWorkerOfThisHome(pid: string): boolean {
  try {
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker-service')) return false;
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOME=${homedir()}`);
  } catch {
    // The process has ended, or belongs to another user.
    return false;
  }
}

function openDatabases(pid: string): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    const paths = readdirSync(folder).flatMap((descriptor) => {
      try {
        return [readlinkSync(join(folder, descriptor))];
      } catch {
        return [];
      }
    });
    return [...new Set(paths)].filter((path) => path.endsWith('/claude-mem.db'));
  } catch {
    return [];
  }
}

function isSameFile(a: string, b: string): boolean {
  try {
    const [one, other] = [statSync(realpathSync(a)), statSync(realpathSync(b))];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return a === b;
  }
}
