import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { LINK, UNITS } from '../format/kinds.ts';
import { LIFE } from '../format/kinds.ts';
import type { FullOperation, Operation, UpdateOperation } from '../format/operation.ts';
import { trustIn } from '../space/trust.ts';
import { versionText, type Version } from '../format/versions.ts';

/** A write of a memory: of all of it (`unit` null), of one of its registers, or that it lives or not (LIFE). */
export interface Write {
  readonly key: Buffer;
  readonly unit: string | null;
  readonly version: Version;
}

/** Whether a write may be merged. */
export type Accepts = (write: Write) => boolean;

/** Writes are judged by who made them, whoever tells of them. */
export const byTrust =
  (config: SpaceConfig): Accepts =>
  ({ version }) =>
    trustIn(config, version.node) === 'accept';

/** Whether what an operation says at its own version may be merged. */
export function isAccepted(operation: Operation, accepts: Accepts): boolean {
  const { key, version } = operation;
  return unitsOf(operation).every((unit) => accepts({ key, unit, version }));
}

function unitsOf(operation: Operation): (string | null)[] {
  if (operation.type === 'full') return [null];
  return operation.type === 'delete' ? [LIFE] : unitsIn(operation).map(({ name }) => name);
}

/** The parts of a memory that an update speaks of. */
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
 * When a register was written of which nobody that is trusted is known to have written it: before every write. It travels
 * like any version, so that who hears of the memory from here does not take the gap for a value.
 */
const NOBODY: Version = { counter: 1, hlc: 0, node: '!' };

/** Whether a register's version says that its value is held back, or not known. */
export const isNobody = (version: Version | undefined): boolean => version?.node === NOBODY.node;

/** A memory as far as its registers may be merged, and those that may not be: updates that are as if their nodes sent them. */
export interface Judged {
  readonly operation: FullOperation;
  readonly heldBack: readonly UpdateOperation[];
}

/**
 * Takes out of a memory as a whole the registers that were written by nodes whose writes may not be merged: whoever tells
 * of a memory tells of these, too. Where a row cannot be without, the project is empty, and the link stays, so that a new row
 * has a place.
 */
export function judge(operation: FullOperation, accepts: Accepts): Judged {
  const { kind, key } = operation;
  if (operation.written.size === 0) return { operation, heldBack: [] };
  // How far a session has come is no text of anybody's, and no row can be without it.
  const course = new Set(UNITS[kind].filter(({ merge }) => merge === 'lattice').map(({ name }) => name));
  const refused = [...operation.written].filter(
    ([unit, version]) => !course.has(unit) && !isNobody(version) && !accepts({ key, unit, version }),
  );
  if (refused.length === 0) return { operation, heldBack: [] };
  const set = { ...operation.set };
  const written = new Map(operation.written);
  const updates = new Map<string, UpdateOperation>();
  for (const [unit, version] of refused) {
    if (unit === LIFE) {
      written.delete(unit);
      continue;
    }
    const id = versionText(version);
    const update = updates.get(id) ?? { type: 'update', kind, key, version, of: null, up: {} };
    const isLink = unit === LINK;
    updates.set(id, {
      ...update,
      of: isLink ? operation.of : update.of,
      up: isLink ? update.up : { ...update.up, [unit]: operation.set[unit] ?? null },
    });
    written.set(unit, NOBODY);
    if (unit === 'project') set[unit] = '';
    else delete set[unit];
  }
  return { operation: { ...operation, set, written }, heldBack: [...updates.values()] };
}
