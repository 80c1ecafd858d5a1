import { canonicalJson } from './canonical-json.ts';
import { LINK_REGISTER } from './kinds.ts';
import { homeSessionOf, linkedSession } from './operation.ts';
import type { Value } from './values.ts';
import { compareVersions, type Version } from './versions.ts';

/**
 * When a memory's registers were written: `base` by the operation that sent the whole memory, and by name
 * those written at another time.
 */
export interface Written {
  readonly base: Version;
  readonly units: ReadonlyMap<string, Version>;
}

/** A memory's registers by name, and when they were written. Absent and null are equal. */
export interface Registers {
  readonly values: Readonly<Record<string, Value>>;
  readonly written: Written;
}

/** Returns when a register was written; null for one that never had a value. */
export function writtenAt({ values, written }: Registers, name: string): Version | null {
  return written.units.get(name) ?? ((values[name] ?? null) === null ? null : written.base);
}

/**
 * Compares two values of one register; positive when the first wins. A value that was never written loses.
 * Equal versions with different values (clock and counter were both put back) are ordered by value, so that
 * every machine chooses alike.
 */
function compareRegisters(a: Registers, b: Registers, name: string): number {
  const [first, second] = [writtenAt(a, name), writtenAt(b, name)];
  if (first === null || second === null) return (first === null ? 0 : 1) - (second === null ? 0 : 1);
  const order = compareVersions(first, second);
  if (order !== 0) return order;
  const [text, other] = [comparableText(a, name), comparableText(b, name)];
  return text < other ? -1 : text > other ? 1 : 0;
}

/**
 * Returns a register's value as text that is equal on every machine. A row without a session equals one under
 * the stub session that some machine made up for it.
 */
function comparableText({ values }: Registers, name: string): string {
  const value = values[name] ?? null;
  const of = name === LINK_REGISTER ? linkedSession(value) : null;
  return canonicalJson(of === null ? value : homeSessionOf(of));
}

/** The result of merging incoming registers into the local ones. */
export interface Merged {
  /** Registers whose incoming value won. */
  readonly taken: readonly string[];
  readonly written: Written;
  /** Local or incoming writes that lost. */
  readonly replaced: readonly { readonly name: string; readonly version: Version; readonly value: Value }[];
}

/**
 * Merges each register separately: the later write wins. Commutative, associative and idempotent, so the
 * order of operations does not matter.
 * @param names the registers of the memory's kind
 */
export function mergeRegisters(local: Registers, incoming: Registers, names: readonly string[]): Merged {
  const base =
    compareVersions(incoming.written.base, local.written.base) > 0
      ? incoming.written.base
      : local.written.base;
  const taken: string[] = [];
  const replaced: { name: string; version: Version; value: Value }[] = [];
  const units = new Map<string, Version>();
  for (const name of names) {
    const takes = compareRegisters(incoming, local, name) > 0;
    if (takes) taken.push(name);
    const winner = takes ? incoming : local;
    const version = writtenAt(winner, name);
    if (version === null) continue;
    const loser = takes ? local : incoming;
    const former = writtenAt(loser, name);
    if (former !== null && former.counter > 0 && compareVersions(former, version) < 0) {
      replaced.push({ name, version: former, value: loser.values[name] ?? null });
    }
    const isNull = (winner.values[name] ?? null) === null;
    if (isNull || compareVersions(version, base) !== 0) units.set(name, version);
  }
  return { taken, written: { base, units }, replaced };
}
