import type { SpaceConfig } from '../../contract/memory.ts';
import { UNITS } from '../kinds.ts';
import { LIFE } from '../ledger/entities.ts';
import type { Operation, UpdateOperation } from '../operation.ts';
import { trustIn } from '../trust.ts';
import type { Version } from '../versions.ts';

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
