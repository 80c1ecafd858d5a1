import { canonicalJson } from './canonical-json.ts';
import { LINK } from './kinds.ts';
import { homeOf, linkedSession } from './operation.ts';
import type { Value } from './values.ts';
import { compareVersions, type Version } from './versions.ts';

/**
 * When the registers of one memory were written: `base` by the operation that told of the memory as a whole, and by
 * name those that were written at another time.
 */
export interface Written {
  readonly base: Version;
  readonly units: ReadonlyMap<string, Version>;
}

/** The registers of one memory by name, and when they were written. Absent and null are the same. */
export interface Registers {
  readonly values: Readonly<Record<string, Value>>;
  readonly written: Written;
}

/** When a register was written; null for one that nobody ever gave a value. */
export function writtenAt({ values, written }: Registers, name: string): Version | null {
  return written.units.get(name) ?? ((values[name] ?? null) === null ? null : written.base);
}

/**
 * Which of two values of one register stands: positive for the first. A value that was never written loses to any
 * other; equal versions with different values (a clock and a counter that were both put back) are told apart by what
 * they say, so that every machine chooses alike.
 */
function compareRegisters(a: Registers, b: Registers, name: string): number {
  const [first, second] = [writtenAt(a, name), writtenAt(b, name)];
  if (first === null || second === null) return (first === null ? 0 : 1) - (second === null ? 0 : 1);
  const order = compareVersions(first, second);
  if (order !== 0) return order;
  const [text, other] = [saidBy(a, name), saidBy(b, name)];
  return text < other ? -1 : text > other ? 1 : 0;
}

/**
 * What a register says, as text that is the same everywhere. A row without a session is told of under the one that was made up
 * for it by whoever has one: that is no other value.
 */
function saidBy({ values }: Registers, name: string): string {
  const value = values[name] ?? null;
  const of = name === LINK ? linkedSession(value) : null;
  return canonicalJson(of === null ? value : homeOf(of));
}

/** The outcome of merging what came in into what is here. */
export interface Merged {
  /** Registers whose incoming value stands. */
  readonly taken: readonly string[];
  readonly written: Written;
  /** Writes that another one replaced, from here or from there. */
  readonly replaced: readonly { readonly name: string; readonly version: Version; readonly value: Value }[];
}

/**
 * Merges registers, each by itself: the later write stands. Commutative, associative and idempotent, so the order in
 * which operations come in does not matter.
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
