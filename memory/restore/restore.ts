import { existsSync, linkSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { auditAll } from '../detect/audit.ts';
import { approveDeletions, checkDeletions, heldDeletions } from '../detect/guard.ts';
import { SpaceProjects } from '../space/names.ts';
import { publishedForms } from '../space/redact.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SyncSession } from '../session.ts';
import { textOf } from '../format/values.ts';
import { assemble, sync, type Assembled } from './assemble.ts';
import { buildModel } from './model.ts';
import { fileAt } from './swap.ts';

export interface RestoreOptions {
  readonly config: SpaceConfig;
  /** The time to go back to, epoch ms: to the end of the second that it lies in. */
  readonly at: number;
  /** A file to write that does not exist yet, or `in place` to put it where claude-mem's database is. */
  readonly out: { readonly path: string } | 'in place';
}

/** What a restore made. */
export interface RestoreResult {
  readonly path: string;
  /** Where the database lies that was there before, when it was replaced. */
  readonly backup: string | null;
  /** The snapshot it began with. */
  readonly base: string | null;
  readonly operations: number;
  readonly rows: Assembled;
  /** What of the store could not be used: what it told of may be missing. */
  readonly problems: readonly string[];
}

/** Where the ledger keeps which file a restore put, or is about to put, in place. */
const PENDING = 'restore:pending';

/**
 * Builds the restored database in a file of its own.
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
        `The restore would lack memories: ${model.problems.join('; ')}. Nothing was changed; restore to a file to look at what there is.`,
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
        isToldAs: tellsAs(config),
      },
      progress,
    );
    const { base, operations, problems } = model;
    return { path: paths.path, base, operations, rows, problems };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a text in a column of this node may come back from a space as another text. */
function tellsAs(config: SpaceConfig): (column: string, here: string, told: unknown) => boolean {
  const names = new SpaceProjects(config);
  return (column, here, told) => {
    const named = names.rowToSpace({ [column]: here });
    const forms = config.redact === false ? [named] : publishedForms(named);
    return forms.some((form) => (textOf(names.rowToLocal(form)[column]) ?? here) === told);
  };
}

/** Gives a built file its name, unless something has it already. @throws MembridgeError conflict */
export function publishFile(built: string, path: string): void {
  try {
    linkSync(built, path);
  } catch (cause) {
    throw new MembridgeError('conflict', `${path} is there already; a restore overwrites nothing.`, {
      cause,
    });
  }
  rmSync(built);
  sync(dirname(path));
}

/** Refuses to write over a file. @throws MembridgeError conflict */
export function refuseExisting(path: string): void {
  if (existsSync(path)) {
    throw new MembridgeError('conflict', `${path} is there already; a restore overwrites nothing.`);
  }
}

/** Where a restored database is built: beside the file it is to become. */
export const builtPath = (path: string): string => `${path}.restoring`;

/** Notes that a restore in place began, so that the next sync removes what is left of one that was cut off. */
export function beginRestore(session: SyncSession): void {
  session.ledger.setMeta(PENDING, 'building');
}

/** Notes, before the swap, that what differs in this file from what was here is a person's will. */
export function announceRestore(session: SyncSession, restored: string): void {
  session.ledger.setMeta(PENDING, fileAt(restored));
}

/** Whether a file is one that a restore put, or is about to put, in place. @param file as `fileAt` names it */
export const isRestored = (ledger: Ledger, file: string): boolean => ledger.meta(PENDING) === file;

/**
 * After a restored database was put in place: what it lacks counts as deleted here and now, what it brought back as
 * written again, what it changed back as changed, so that the fleet follows. The person asked for it, so the guard does not
 * ask again. Of a restore that never got to the swap, what is left is removed.
 * @throws SqliteError, AbortError; it is done again at the next sync
 */
export async function settleRestore(session: SyncSession, rescan: () => Promise<unknown>): Promise<void> {
  const { ledger } = session;
  const pending = ledger.meta(PENDING);
  if (pending === null || pending === '') return;
  if (pending === fileAt(session.path)) {
    checkDeletions(session);
    if (heldDeletions(ledger) > 0) approveDeletions(ledger);
    await rescan();
    await auditAll(session, session.signal);
  }
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(`${builtPath(realpathSync(session.path))}${suffix}`, { force: true });
  }
  ledger.setMeta(PENDING, '');
}
