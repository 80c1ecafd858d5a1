import type { Operation, UpdateOperation } from '../format/operation.ts';
import { compareVersions, type Version } from '../format/versions.ts';

/**
 * Updates of one memory in one segment that are applied one by one; an honest node sends at most one per
 * part.
 */
const MAX_UPDATES = 16;

/**
 * Drops updates that later ones in the same segment replace, for memories with very many. The outcome is the
 * same, and the cost of a segment stays in proportion to its memories.
 * @returns the operations in their order
 */
export function latestUpdates(operations: readonly Operation[]): readonly Operation[] {
  const byKey = new Map<string, UpdateOperation[]>();
  for (const operation of operations) {
    if (operation.type !== 'update') continue;
    const key = operation.key.toString('latin1');
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [operation]);
    else known.push(operation);
  }
  const replaced = new Set<Operation>();
  for (const updates of byKey.values()) {
    if (updates.length <= MAX_UPDATES) continue;
    const latest = latestByPart(updates);
    for (const update of updates) {
      const isLatest = partsOf(update).some((part) => latest.get(part) === update.version);
      if (!isLatest) replaced.add(update);
    }
  }
  return replaced.size === 0 ? operations : operations.filter((operation) => !replaced.has(operation));
}

function latestByPart(updates: readonly UpdateOperation[]): Map<string, Version> {
  const latest = new Map<string, Version>();
  for (const update of updates) {
    for (const part of partsOf(update)) {
      const known = latest.get(part);
      if (known === undefined || compareVersions(update.version, known) > 0) latest.set(part, update.version);
    }
  }
  return latest;
}

/** Returns the registers that an update writes, including the link to its session. */
const partsOf = ({ up, of }: UpdateOperation): string[] =>
  of === null ? Object.keys(up) : [...Object.keys(up), 'of'];
