import { MembridgeError } from '../../contract/errors.ts';
import type { PushResult, SpaceConfig } from '../../contract/memory/memory.ts';
import { canonicalHash } from '../../memory/detect/canonical-hash.ts';
import type { MemoryEngine } from '../../memory/engine.ts';
import { mendIndexes } from './damage.ts';
import { countByIdentity, readable, type Found } from './inventory.ts';
import { Machine, type World } from './machine.ts';
import type { Mirrors } from './mirrors.ts';
import type { Model } from './model.ts';
import { openOutside } from './process.ts';
import { spaceName } from './projects.ts';
import { trustEverybody } from './trust.ts';

/** The result of a history; all lists are empty when the sync kept its promises. */
export interface Verdict {
  readonly lost: string[];
  readonly duplicated: string[];
  readonly invented: string[];
  readonly diverged: string[];
  /** Other failures: damage, moved ids, broken rules of the store, an endless exchange. */
  readonly broken: string[];
}

export const KINDS_OF_FAILURE = ['lost', 'duplicated', 'invented', 'diverged', 'broken'] as const;

/** Returns whether the sync broke a promise. */
export function hasFailed(verdict: Verdict): boolean {
  return KINDS_OF_FAILURE.some((kind) => verdict[kind].length > 0);
}

interface Settling {
  readonly world: World;
  readonly machines: readonly Machine[];
  readonly model: Model;
  /** Null when the history has none. */
  readonly mirrors: Mirrors | null;
  readonly problemsMayStay: boolean;
  readonly trace: (line: string) => void;
}

/** After this many rounds of push and full pull on every machine, nothing may be left to send. */
const MAX_ROUNDS = 10;

/** Longer than a row waits for its session and than heads are trusted, in ms. */
const ROUND_MS = 11 * 60_000;

/** Longer than a session counts as in use, in ms. */
const REST_MS = 2 * 86_400_000;

/**
 * A quiet fleet needs one listing of heads to see that it is quiet. A node whose ledger started over also reads its
 * former incarnation's segments each time, until it next has something to send.
 */
const MAX_QUIET_REQUESTS = 3;

const CALL = { signal: new AbortController().signal, progress: () => undefined };

/** Ends the faults, exchanges until nothing moves, lets a new machine join, and judges everything. */
export async function settleAndJudge(settling: Settling): Promise<Verdict> {
  const { world, machines, model } = settling;
  const verdict: Verdict = { lost: [], duplicated: [], invented: [], diverged: [], broken: [] };
  world.now += REST_MS;
  for (const machine of machines) {
    machine.skew = 0;
  }
  for (const machine of machines) {
    mendIndexes(machine);
    verdict.broken.push(...trustEverybody(machine, model));
  }
  const before = new Map(machines.map((machine) => [machine, machine.ids()]));
  const fleet = [...machines];
  try {
    // What the original's machine pushed last comes in, and has the same rounds as everything else to reach all
    // machines.
    for (const machine of machines) await publishLast(machine, settling, verdict);
    await settle(fleet, settling, verdict);
    // A machine that joins late has only what the store holds.
    const newcomer = new Machine(world, 'newcomer', '13.25.3');
    fleet.push(newcomer);
    const { writes } = world.bucket;
    // The others must send again what was encrypted before it came.
    await settle(world.bucket.isEncrypted ? fleet : [newcomer], settling, verdict);
    // It may have sent something, or reported a segment as unusable, which others then heal.
    if (world.bucket.writes > writes) await settle(fleet, settling, verdict);
    // Its head is new to every machine once.
    for (const { engine, spaces } of machines)
      for (const space of spaces) await engine.pull(space, false, CALL);
    if (verdict.broken.length === 0) await expectQuiet(fleet, settling, verdict);
    if (verdict.broken.length === 0) await judgeMirrors(fleet, settling, verdict);
    const told = newcomer.counts();
    const memories = new Map(fleet.map((machine) => [machine, machine.memories(told)]));
    for (const [machine, found] of memories)
      judgeMachine(
        { machine, found, before: before.get(machine) ?? new Map<string, string>() },
        model,
        verdict,
      );
    compareMachines(memories, model, verdict);
    return verdict;
  } finally {
    for (const machine of fleet) if (!machines.includes(machine)) machine.close();
  }
}

/** Publishes the last mirrors. @returns how many memories came in */
async function publishLast(
  machine: Machine | undefined,
  { mirrors }: Settling,
  verdict: Verdict,
): Promise<number> {
  if (mirrors === null || machine === undefined) return 0;
  try {
    return await mirrors.publishSurely(machine);
  } catch (error) {
    verdict.broken.push(
      `last publication, ${machine.name}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
    );
    return 0;
  }
}

/**
 * Judges that a settled fleet imports nothing from its own mirror, and that the original's machine gets from it all
 * that it had pushed.
 */
async function judgeMirrors(fleet: readonly Machine[], settling: Settling, verdict: Verdict): Promise<void> {
  const { mirrors, model } = settling;
  const imported = await publishLast(fleet.at(-1), settling, verdict);
  if (imported > 0) verdict.broken.push(`a settled fleet took ${imported} memories from its own mirror`);
  const pulled = mirrors?.pullLast() ?? null;
  if (pulled === null) return;
  // Sessions that say nothing are not worth a new mirror.
  for (const { identity, kind, state } of fleet.at(-1)?.memories() ?? []) {
    const isQuiet = kind === 'session' && state['user_prompt'] === 'NULL' && state['custom_title'] === 'NULL';
    if (isQuiet && !pulled.has(identity)) pulled.set(identity, 1);
  }
  const judged = model.judge({ name: 'the last mirror', node: 'mirror' }, pulled);
  verdict.lost.push(...judged.lost);
  verdict.duplicated.push(...judged.duplicated);
  verdict.invented.push(...judged.invented);
}

async function settle(fleet: readonly Machine[], settling: Settling, verdict: Verdict): Promise<void> {
  const { world, trace } = settling;
  let last = '';
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    world.now += ROUND_MS;
    const moved: string[] = [];
    for (const { engine, name, spaces } of fleet) {
      try {
        for (const space of spaces) {
          const pushed = await pushOrRestore(engine, space);
          const pulled = await engine.pull(space, true, CALL);
          if (pushed.rows > 0) moved.push(`${name} sent ${pushed.rows}`);
          const { inserted, updated, deleted = 0, segments } = pulled;
          if (inserted + updated + deleted + segments > 0)
            moved.push(
              `${name} took ${inserted} new, ${updated} changed, ${deleted} deleted of ${segments} segments`,
            );
          engine.forgetNotice();
          const more = await engine.notice([space], CALL.signal);
          if (more.length > 0) moved.push(`${name} has more to send`);
          if (pulled.waiting > 0) moved.push(`${name} has ${pulled.waiting} waiting`);
          if (!settling.problemsMayStay)
            for (const { node, problem } of pulled.problems) moved.push(`${name} on ${node}: ${problem}`);
        }
      } catch (error) {
        verdict.broken.push(
          `settling, ${name}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
        );
        return;
      }
    }
    last = moved.join('; ');
    trace(`settling, round ${round}: ${last || 'quiet'}`);
    if (moved.length === 0) return;
  }
  verdict.broken.push(`not settled after ${MAX_ROUNDS} rounds: ${last}`);
}

/** Pushes. When the engine asks about mass deletions, it requests the rows back first: none were deleted on purpose. */
async function pushOrRestore(engine: MemoryEngine, space: SpaceConfig): Promise<PushResult> {
  try {
    return await engine.push(space, CALL);
  } catch (error) {
    if (!(error instanceof MembridgeError) || error.code !== 'memory_guarded') throw error;
    await engine.resolveDeletes('restore', CALL);
    return await engine.push(space, CALL);
  }
}

/** Expects that a quiet fleet sends no bytes, and reads only the heads. */
async function expectQuiet(fleet: readonly Machine[], settling: Settling, verdict: Verdict): Promise<void> {
  for (const { engine, name, node, spaces } of fleet) {
    // Copies of one machine write one head in turn, and must look each time what the other one wrote.
    if (fleet.filter((machine) => machine.node === node).length > 1) continue;
    for (const space of spaces) {
      const pushed = await engine.push(space, CALL);
      const pulled = await engine.pull(space, false, CALL);
      if (pushed.traffic.bytesUp + pushed.traffic.requests > 0)
        verdict.broken.push(`${name}: a push of nothing took ${JSON.stringify(pushed.traffic)}`);
      if (!settling.problemsMayStay && pulled.traffic.requests > MAX_QUIET_REQUESTS)
        verdict.broken.push(`${name}: a pull of nothing took ${JSON.stringify(pulled.traffic)}`);
    }
  }
}

/** One machine at the end: its memories, and which memory each row was before the exchange. */
interface Settled {
  readonly machine: Machine;
  readonly found: readonly Found[];
  readonly before: ReadonlyMap<string, string>;
}

function judgeMachine({ machine, found, before }: Settled, model: Model, verdict: Verdict): void {
  const judged = model.judge(machine, countByIdentity(found));
  verdict.lost.push(...judged.lost);
  verdict.duplicated.push(...judged.duplicated);
  verdict.invented.push(...judged.invented);
  const now = machine.ids();
  for (const [id, identity] of before) {
    const is = now.get(id);
    if (is !== undefined && is !== identity)
      verdict.broken.push(`${machine.name}: ${id} was ${readable(identity)} and is ${readable(is)}`);
  }
  machine.closeWorker();
  for (const problem of findDamage(machine)) verdict.broken.push(`${machine.name}: ${problem}`);
}

/** Returns what SQLite finds wrong with a database. It opens its own connection, because FTS5 remembers what it last saw. */
function findDamage(machine: Machine): string[] {
  const problems: string[] = [];
  const db = openOutside(machine.path);
  try {
    const integrity = db.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') problems.push(`integrity_check: ${String(integrity)}`);
    for (const { table, rowid } of db.pragma('foreign_key_check') as { table: string; rowid: number }[]) {
      if (!machine.orphans.has(`${table}/${rowid}`)) problems.push(`${table}/${rowid} breaks a foreign key`);
    }
    const indexes = db
      .prepare(`SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'`)
      .pluck();
    for (const name of indexes.all() as string[]) {
      db.exec(`INSERT INTO ${name}(${name}, rank) VALUES ('integrity-check', 1)`);
    }
  } catch (error) {
    problems.push(String(error));
  } finally {
    db.close();
  }
  return problems;
}

/** Compares all machines: the same memories in the same state, as far as their tables have room for it. */
function compareMachines(
  memories: ReadonlyMap<Machine, readonly Found[]>,
  model: Model,
  verdict: Verdict,
): void {
  const fleet = [...memories.keys()];
  const states = [...memories].map(([machine, found]) => ({
    machine,
    name: machine.name,
    states: statesOf(found, model),
  }));
  const isOnlyMadeUp = (identity: string): boolean =>
    states.every(({ machine, states: held }) => !held.has(identity) || machine.madeUp.has(identity));
  const [first, ...others] = states;
  if (first === undefined) return;
  for (const other of others) {
    for (const identity of new Set([...first.states.keys(), ...other.states.keys()])) {
      const [a, b] = [first.states.get(identity), other.states.get(identity)];
      // Nobody publishes a prompt in a session that another sync made: its writer may have lost it since.
      if (model.wasDeleted(identity) && fleet.some(({ madeUp }) => madeUp.has(identity))) continue;
      if (isOnlyMadeUp(identity)) continue;
      const difference = a === undefined || b === undefined ? 'is on one only' : differing(a, b);
      if (difference !== null)
        verdict.diverged.push(`${first.name} and ${other.name}: ${readable(identity)} ${difference}`);
    }
  }
  // The product's own measure must agree when all have the same tables.
  const hasNames = fleet.some((machine) => machine.hasNames);
  // It does not know what a space excludes: rows that stay on their machine count as its own.
  if ([...memories.values()].some((found) => found.some(({ identity }) => model.isExcluded(identity))))
    return;
  // Another sync's rows belong to their machine: copies, and prompts in sessions that it made.
  if (fleet.some(({ copies, madeUp }) => copies.size + madeUp.size > 0)) return;
  if (verdict.diverged.length > 0 || hasNames || new Set(fleet.map(({ release }) => release)).size > 1)
    return;
  const hashes = new Set(fleet.map((machine) => canonicalHash(machine.worker, machine.path)));
  if (hashes.size > 1) verdict.diverged.push('the canonical hashes differ although every row is the same');
}

type States = Map<string, Record<string, string>[]>;

function statesOf(found: readonly Found[], model: Model): States {
  const states: States = new Map();
  for (const { identity, state } of found) {
    if (model.isStub(identity) || model.isExcluded(identity)) continue;
    // A machine's own name of a project is the space's name of it.
    const known = { ...state };
    for (const column of ['project', 'merged_into_project']) {
      const name = known[column];
      if (name !== undefined) known[column] = `'${spaceName(name.slice(1, -1))}'`;
    }
    states.set(identity, [...(states.get(identity) ?? []), known]);
  }
  return states;
}

function differing(
  a: readonly Record<string, string>[],
  b: readonly Record<string, string>[],
): string | null {
  if (a.length !== b.length) return `is there ${a.length} times and ${b.length} times`;
  const columns = Object.keys(a[0] ?? {}).filter((column) => column in (b[0] ?? {}));
  const shown = (list: readonly Record<string, string>[]): string =>
    JSON.stringify(
      list.map((state) => columns.map((column) => `${column}=${state[column]}`).join(' ')).sort(),
    );
  const [left, right] = [shown(a), shown(b)];
  return left === right ? null : `differs: ${left} and ${right}`;
}
