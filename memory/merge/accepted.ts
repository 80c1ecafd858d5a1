import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { LINK_REGISTER, UNITS } from '../format/kinds.ts';
import { LIFE_REGISTER } from '../format/kinds.ts';
import type { FullOperation, Operation, UpdateOperation } from '../format/operation.ts';
import { trustOf } from '../space/trust.ts';
import { versionText, type Version } from '../format/versions.ts';

/** A write of a memory: all of it (`unit` null), one of its registers, or its life (LIFE_REGISTER). */
export interface Write {
  readonly key: Buffer;
  readonly unit: string | null;
  readonly version: Version;
}

/** Whether a write may be merged. */
export type Accepts = (write: Write) => boolean;

/** Judges writes by their author, not by the node that sent them. */
export const byTrust =
  (config: SpaceConfig): Accepts =>
  ({ version }) =>
    trustOf(config, version.node) === 'accept';

/** Returns whether a write at the operation's own version may be merged. */
export function isAccepted(operation: Operation, accepts: Accepts): boolean {
  const { key, version } = operation;
  return unitsOf(operation).every((unit) => accepts({ key, unit, version }));
}

function unitsOf(operation: Operation): (string | null)[] {
  if (operation.type === 'full') return [null];
  return operation.type === 'delete' ? [LIFE_REGISTER] : unitsIn(operation).map(({ name }) => name);
}

/** Returns the parts of a memory that an update contains. */
export function unitsIn({
  kind,
  up,
  of,
}: UpdateOperation): (typeof UNITS)[UpdateOperation['kind']][number][] {
  return UNITS[kind].filter(({ merge, columns }) =>
    merge === 'link' ? of !== null : columns.some((column) => column in up),
  );
}

/**
 * Version of a register without a known trusted author: before every write. It is sent like any version, so
 * that receivers do not take the gap for a value.
 */
const NO_AUTHOR: Version = { counter: 1, hlc: 0, node: '!' };

/** Returns whether a register's version means that its value is withheld or unknown. */
export const hasNoAuthor = (version: Version | undefined): boolean => version?.node === NO_AUTHOR.node;

/**
 * A memory with the registers that may be merged, and the others as updates, as if their authors had sent
 * them.
 */
export interface Judged {
  readonly operation: FullOperation;
  readonly heldBack: readonly UpdateOperation[];
}

/**
 * Removes from a whole memory the registers written by nodes whose writes may not be merged: a resent memory
 * contains their writes too. An empty project replaces a removed one where the table requires it, and the
 * link stays, so that a new row has a place.
 */
export function judge(operation: FullOperation, accepts: Accepts): Judged {
  const { kind, key } = operation;
  if (operation.written.size === 0) return { operation, heldBack: [] };
  // A session's progress has no author, and no row can do without it.
  const course = new Set(UNITS[kind].filter(({ merge }) => merge === 'lattice').map(({ name }) => name));
  const refused = [...operation.written].filter(
    ([unit, version]) => !course.has(unit) && !hasNoAuthor(version) && !accepts({ key, unit, version }),
  );
  if (refused.length === 0) return { operation, heldBack: [] };
  const set = { ...operation.set };
  const written = new Map(operation.written);
  const updates = new Map<string, UpdateOperation>();
  for (const [unit, version] of refused) {
    if (unit === LIFE_REGISTER) {
      written.delete(unit);
      continue;
    }
    const id = versionText(version);
    const update = updates.get(id) ?? { type: 'update', kind, key, version, of: null, up: {} };
    const isLink = unit === LINK_REGISTER;
    updates.set(id, {
      ...update,
      of: isLink ? operation.of : update.of,
      up: isLink ? update.up : { ...update.up, [unit]: operation.set[unit] ?? null },
    });
    written.set(unit, NO_AUTHOR);
    if (unit === 'project') set[unit] = '';
    else delete set[unit];
  }
  return { operation: { ...operation, set, written }, heldBack: [...updates.values()] };
}
