import { existsSync, linkSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { auditAll } from '../detect/audit.ts';
import { approveDeletions, checkDeletions, countHeldDeletions } from '../detect/guard.ts';
import { SpaceProjects } from '../space/space-projects.ts';
import { publishedForms } from '../space/redact.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SyncSession } from '../session.ts';
import { textOf } from '../format/values.ts';
import { assemble, sync, type Assembled } from './assemble.ts';
import { buildModel } from './model.ts';
import { fileIdOf } from './swap.ts';

export interface RestoreOptions {
  readonly config: SpaceConfig;
  /** The time to return to, epoch milliseconds; includes the whole second that it lies in. */
  readonly at: number;
  /** A new file to write, or `in place` to replace claude-mem's database. */
  readonly out: { readonly path: string } | 'in place';
}

/** The result of a restore. */
export interface RestoreResult {
  readonly path: string;
  /** Path of the replaced database, if it was replaced. */
  readonly backup: string | null;
  /** The snapshot that it started from. */
  readonly base: string | null;
  readonly operations: number;
  readonly rows: Assembled;
  /** Objects in the store that could not be used; their contents may be missing. */
  readonly problems: readonly string[];
}

/** Ledger entry for the file that a restore has put, or is about to put, in place. */
const PENDING_ENTRY = 'restore:pending';

/**
 * Builds the restored database in a separate file.
 * @param path the file to write, on the file system where it is wanted
 * @throws MembridgeError conflict when that time needs what was collected; memory_corrupt, store_*
 */
export async function buildRestored(
  session: SyncSession,
  paths: { ledger: string; path: string },
  options: RestoreOptions,
  progress: (text: string) => void,
): Promise<Omit<RestoreResult, 'backup'>> {
  const { config, at } = options;
  const folder = join(dirname(paths.ledger), 'restore');
  try {
    const model = await buildModel(session, config, at, folder, progress);
    if (options.out === 'in place' && model.problems.length > 0) {
      throw new MembridgeError(
        'segment_invalid',
        `The restore would lack memories: ${model.problems.join('; ')}. Nothing was changed; restore to a file to see what there is.`,
      );
    }
    const rows = assemble(
      paths.path,
      {
        local: session.path,
        ledger: paths.ledger,
        model: model.databasePath,
        modelLedger: model.ledgerPath,
        space: session.ledger.spaces.get(config.cid).id,
        isToldAs: formTest(config),
      },
      progress,
    );
    const { base, operations, problems } = model;
    return { path: paths.path, base, operations, rows, problems };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns a test for whether a local text may come back from a space as another text. */
function formTest(config: SpaceConfig): (column: string, here: string, told: unknown) => boolean {
  const names = new SpaceProjects(config);
  return (column, here, told) => {
    const named = names.rowToSpace({ [column]: here });
    const forms = config.redact === false ? [named] : publishedForms(named);
    return forms.some((form) => (textOf(names.rowToLocal(form)[column]) ?? here) === told);
  };
}

/**
 * Renames a built file to its target unless that exists already.
 * @throws MembridgeError conflict
 */
export function publishFile(built: string, path: string): void {
  try {
    linkSync(built, path);
  } catch (cause) {
    throw new MembridgeError('conflict', `${path} already exists; a restore overwrites nothing.`, {
      cause,
    });
  }
  rmSync(built);
  sync(dirname(path));
}

/**
 * Throws when a file exists.
 * @throws MembridgeError conflict
 */
export function refuseExisting(path: string): void {
  if (existsSync(path)) {
    throw new MembridgeError('conflict', `${path} already exists; a restore overwrites nothing.`);
  }
}

/** Path where a restored database is built: beside its target. */
export const buildPath = (path: string): string => `${path}.restoring`;

/**
 * Records that a restore in place began, so that the next sync removes the remnants of an interrupted one.
 */
export function beginRestore(session: SyncSession): void {
  session.ledger.setMeta(PENDING_ENTRY, 'building');
}

/** Records, before the swap, that a person wants the differences between the two files. */
export function announceRestore(session: SyncSession, restored: string): void {
  session.ledger.setMeta(PENDING_ENTRY, fileIdOf(restored));
}

/**
 * Returns whether a restore has put, or is about to put, a file in place.
 * @param file as `fileIdOf` names it
 */
export const isRestored = (ledger: Ledger, file: string): boolean => ledger.meta(PENDING_ENTRY) === file;

/**
 * Turns a restore in place into writes that the fleet follows. Memories that the restored database lacks
 * count as deleted here and now. Memories that it brought back count as written again, and reverted ones as
 * changed. The person has asked for these deletions, so the deletion guard does not hold them. If the restore
 * never reached the swap, removes its remnants.
 * @throws SqliteError, AbortError; the next sync repeats it
 */
export async function settleRestore(session: SyncSession, rescan: () => Promise<unknown>): Promise<void> {
  const { ledger } = session;
  const pending = ledger.meta(PENDING_ENTRY);
  if (pending === null || pending === '') return;
  if (pending === fileIdOf(session.path)) {
    checkDeletions(session);
    if (countHeldDeletions(ledger) > 0) approveDeletions(ledger);
    await rescan();
    await auditAll(session, session.signal);
  }
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(`${buildPath(realpathSync(session.path))}${suffix}`, { force: true });
  }
  ledger.setMeta(PENDING_ENTRY, '');
}
