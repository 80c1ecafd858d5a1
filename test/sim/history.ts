import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import type { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { Bucket } from './bucket.ts';
import { damageIndex, mendIndexes } from './damage.ts';
import { Dice } from './dice.ts';
import { copyRows } from './copy-rows.ts';
import { Intruder } from './intruder.ts';
import { Machine, identityOf, x25519Der, type EngineClass, type World } from './machine.ts';
import { beginEncryption, publishMembership } from './membership.ts';
import { Mirrors } from './mirrors.ts';
import { Model } from './model.ts';
import { OtherSync } from './other-sync.ts';
import { EXCLUDED } from './projects.ts';
import { Crash, forgetProcesses, openOutside } from './process.ts';
import { drawSkew, isOfMirror, type Call, type Fault, type Plan, type Step } from './steps.ts';
import { setTrust } from './trust.ts';
import { upgradeMachine } from './upgrade.ts';
import { settleAndJudge, type Verdict } from './verdict.ts';
import { Workload, type WriteKind } from './workload.ts';

const SPACE: SpaceConfig = {
  cid: canonicalId('simulated'),
  projectId: 'simulated',
  projects: ['*'],
  excluded: EXCLUDED,
};

/** A space of some of the projects: its memories are in the first space as well. */
const SECOND: SpaceConfig = {
  ...SPACE,
  cid: canonicalId('second'),
  projectId: 'second',
  projects: ['garden'],
};

/** When every history begins, epoch ms. */
const BEGIN = Date.UTC(2026, 5, 1, 9);

export interface HistoryOptions {
  readonly engineClass: EngineClass;
  /** The folder for its files: in memory, for speed. */
  readonly root: string;
  /** Called for each step, to debug one history. */
  readonly trace?: (line: string) => void;
}

/** The result of a history. */
export interface Outcome extends Verdict {
  /** How often each fault really hit. */
  readonly faults: Record<string, number>;
}

/** Runs one history from its plan to its verdict. The same plan and seed give the same history. */
export async function runHistory(plan: Plan, seed: number, options: HistoryOptions): Promise<Outcome> {
  const folder = mkdtempSync(join(options.root, 'history-'));
  const restore = fixChance(seed);
  const history = new History(folder, plan, options);
  try {
    return await history.run(plan.steps);
  } catch (error) {
    // Nothing that an engine does to a database may keep it from being judged.
    return { lost: [], duplicated: [], invented: [], diverged: [], broken: [stackOf(error)], faults: {} };
  } finally {
    history.close();
    restore();
    forgetProcesses();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A call in which nothing goes wrong. */
const FAULTLESS_CALL = { dieAfter: null, faults: [], full: null, lockedUntil: null, cancelledAt: null };

/** Waits of at least this many ms end immediately: nothing that an engine waits for changes in them. */
const LONG_WAIT_MS = 1_000;

/**
 * Makes node:crypto return bytes and keys from the seed. Names of incarnations are random and decide the order of
 * lists, and so are those of encrypted segments. Long waits end immediately.
 */
function fixChance(seed: number): () => void {
  const crypto = createRequire(import.meta.url)('node:crypto') as {
    randomBytes: (size: number) => Buffer;
    generateKeyPairSync: (type: string) => { privateKey: KeyObject; publicKey: KeyObject };
  };
  const timers = createRequire(import.meta.url)('node:timers/promises') as { setTimeout: typeof sleep };
  const { randomBytes, generateKeyPairSync } = crypto;
  const wait = timers.setTimeout;
  timers.setTimeout = async (ms, value, options) =>
    await wait(ms !== undefined && ms >= LONG_WAIT_MS ? 0 : ms, value, options);
  const dice = new Dice(seed ^ 0x5eed);
  crypto.randomBytes = (size) => Buffer.from(Array.from({ length: size }, () => dice.below(256)));
  crypto.generateKeyPairSync = () => {
    const key = { key: x25519Der(crypto.randomBytes(32)), format: 'der', type: 'pkcs8' } as const;
    const privateKey = createPrivateKey(key);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  };
  syncBuiltinESMExports();
  return () => {
    Object.assign(crypto, { randomBytes, generateKeyPairSync });
    timers.setTimeout = wait;
    syncBuiltinESMExports();
  };
}

class History {
  readonly #world: World;
  readonly #machines: Machine[] = [];
  readonly #model = new Model();
  readonly #workload = new Workload(this.#model);
  readonly #broken: string[] = [];
  readonly #faults = new Map<string, number>();
  readonly #intruder: Intruder;
  readonly #otherSync = new OtherSync(this.#model);
  readonly #mirrors: Mirrors | null;
  readonly #trace: (line: string) => void;
  /** Whether the store holds, or lacks, something that no engine can repair: some problems may then stay reported forever. */
  #storeHarmed = false;

  constructor(folder: string, plan: Plan, options: HistoryOptions) {
    this.#trace = options.trace ?? (() => undefined);
    this.#world = {
      folder,
      templates: options.root,
      bucket: new Bucket(),
      engineClass: options.engineClass,
      now: BEGIN,
      membership: null,
      spaces: plan.second ? [SPACE, SECOND] : [SPACE],
      onMirror: (machine, key, bytes) => this.#mirrors?.judge(machine, key, bytes),
      onMirrorDownload: (machine, key, bytes) => this.#mirrors?.noteDownload(machine, key, bytes),
    };
    this.#mirrors = plan.steps.some(isOfMirror)
      ? new Mirrors(this.#world, this.#model, this.#workload, plan.releases[0] ?? '')
      : null;
    this.#world.bucket.now = () => this.#world.now;
    this.#intruder = new Intruder(this.#world.bucket, identityOf);
    if (plan.hostile) {
      publishMembership(this.#world, { retired: this.#intruder.retired });
      // What the removed machine put into the store is reported as long as it lies there.
      this.#storeHarmed = true;
    }
    plan.releases.forEach((release, n) => {
      const machine = new Machine(this.#world, String.fromCharCode(97 + n), release);
      this.#machines.push(machine);
      machine.skew = plan.skews[n] ?? 0;
      machine.hasNames = plan.names === n;
      const first = this.#machines[0];
      if (n === 0) {
        const dice = new Dice(plan.shared);
        for (let write = 0; write < plan.shared; write += 1) this.#workload.write(machine, 'session', dice);
      } else if (n === 1 && first !== undefined && plan.shared > 0) {
        // One old database on two machines, each with the tables of its own claude-mem since.
        copyRows(first.worker, machine.worker, new Dice(plan.shared));
        machine.pending = new Map(first.pending);
        this.#model.tellsOf(machine.node, machine.pending.keys());
      }
    });
  }

  async run(steps: readonly Step[]): Promise<Outcome> {
    for (const step of steps) {
      this.#world.now += 1_500;
      this.#trace(describe(step));
      await this.#do(step);
      if (this.#broken.length > 0) break;
    }
    for (const machine of this.#machines) {
      machine.store.plan([], 1);
      machine.store.onCall = () => undefined;
      for (const [fault, count] of machine.store.struck) this.#count(fault, count);
    }
    const verdict = await settleAndJudge({
      world: this.#world,
      machines: this.#machines,
      model: this.#model,
      mirrors: this.#mirrors,
      problemsMayStay: this.#storeHarmed,
      trace: this.#trace,
    });
    return {
      ...verdict,
      broken: [...this.#broken, ...this.#world.bucket.violations, ...verdict.broken],
      faults: Object.fromEntries(this.#faults),
    };
  }

  close(): void {
    for (const machine of this.#machines) machine.close();
    this.#mirrors?.close();
  }

  async #do(step: Step): Promise<void> {
    switch (step.do) {
      case 'wait':
        this.#world.now += step.ms;
        return;
      case 'write':
        this.#write(this.#machine(step.machine), step.write, new Dice(step.seed));
        return;
      case 'clean-ups':
        return await this.#cleanUps(step.seed);
      case 'trust': {
        const [machine, { node }] = [this.#machine(step.machine), this.#machine(step.of)];
        this.#broken.push(...setTrust(machine, node, step.trust, this.#model));
        if (node !== machine.node) this.#count(`trust-${step.trust}`);
        return;
      }
      case 'upgrade': {
        // The agent looks first. The upgrade assigns the ids of deleted rows again. The engine would take an unseen
        // deletion of the newest rows for an older state of the database.
        await this.#call(
          { ...FAULTLESS_CALL, machine: step.machine, what: 'audit', meanwhile: null },
          step.seed,
        );
        if (upgradeMachine(this.#machine(step.machine), new Dice(step.seed))) this.#count('upgrade');
        return;
      }
      case 'encrypt':
        if (!beginEncryption(this.#world)) return;
        for (const machine of this.#machines) machine.hearMembership();
        this.#count('encrypt');
        return;
      case 'damage':
        if (damageIndex(this.#machine(step.machine), new Dice(step.seed))) this.#count('damage-index');
        return;
      case 'mend':
        if (mendIndexes(this.#machine(step.machine))) this.#count('mend-index');
        return;
      case 'copy': {
        const [from, to] = [this.#machine(step.from), this.#machine(step.machine)];
        if (to.isIndexDamaged) return;
        const copied = this.#otherSync.copy(from, to, new Dice(step.seed));
        if (copied > 0) this.#count('other-sync', copied);
        return;
      }
      case 'original':
        if (this.#mirrors?.act(step.act, new Dice(step.seed)) === true) this.#count(`original-${step.act}`);
        return;
      case 'attack': {
        const dice = new Dice(step.seed);
        const { cid } = dice.pick(this.#world.spaces);
        if (this.#intruder.act(step.attack, cid, dice)) this.#count(`attack-${step.attack}`);
        return;
      }
      case 'sync': {
        const dice = new Dice(step.seed);
        await Promise.all(step.calls.map((call) => this.#call(call, dice.seed())));
        return;
      }
      case 'fault':
        return await this.#fault(step.fault, this.#machine(step.machine), new Dice(step.seed));
    }
  }

  /**
   * Gives every machine a near twin of one row. All machines exchange them, and then all do the same clean-up before
   * they sync again. The order of ids differs on each, so each may keep another copy.
   */
  async #cleanUps(seed: number): Promise<void> {
    const dice = new Dice(seed);
    const numbers = this.#machines.map((_machine, n) => n);
    // The times of the twins differ; which row they are of does not.
    for (const n of numbers) {
      this.#world.now += 10_000;
      const machine = this.#machine(n);
      if (!machine.isIndexDamaged) this.#workload.twinOfFirst(machine, new Dice(seed));
    }
    for (const what of ['push', 'pull', 'pull'] as const) {
      for (const machine of numbers)
        await this.#call({ ...FAULTLESS_CALL, machine, what, meanwhile: null }, dice.seed());
    }
    for (const n of numbers) this.#write(this.#machine(n), 'clean-up', new Dice(seed));
  }

  /** claude-mem writes, or a person with its database; with a damaged index neither can. */
  #write(machine: Machine, write: WriteKind, dice: Dice): void {
    if (!machine.isIndexDamaged) this.#workload.write(machine, write, dice);
  }

  /** @param isTruncated whether the machine's database is unreadable */
  async #call(call: Call, seed: number, isTruncated = false): Promise<void> {
    const machine = this.#machine(call.machine);
    const dice = new Dice(seed);
    const cancel = new AbortController();
    machine.store.plan(call.faults, dice.seed());
    machine.process.dieAfter(call.dieAfter);
    machine.process.setFull(call.full);
    let locker: Database.Database | null = call.lockedUntil === null ? null : openOutside(machine.path);
    locker?.exec('BEGIN IMMEDIATE');
    const unlock = (): void => {
      locker?.close();
      locker = null;
    };
    machine.store.onCall = (at) => {
      if (at === call.lockedUntil) unlock();
      if (at === call.mirror?.pushAt) this.#mirrors?.pushBetween(call.mirror.space, dice);
      if (at === call.cancelledAt) cancel.abort(new Error('cancelled by the simulation'));
      if (at === call.meanwhile?.at && locker === null) this.#write(machine, call.meanwhile.write, dice);
    };
    const pending = new Map(machine.pending);
    const isWatched = call.dieAfter !== null || (this.#mirrors !== null && !isTruncated);
    const before = isWatched ? machine.counts() : new Map<string, number>();
    try {
      const said = await this.#ask(machine, call, cancel.signal);
      this.#trace(`  ${machine.name} ${call.what}: ${said}`);
      if (call.what !== 'notice') machine.unnamed.clear();
      if (isWatched && call.what.endsWith('pull')) noteGone(machine, before);
      if (call.what === 'push') {
        this.#model.sent(pending);
        machine.knowsNothing = false;
        for (const [identity, count] of pending) {
          if (machine.pending.get(identity) === count) machine.pending.delete(identity);
        }
      }
    } catch (error) {
      this.#trace(`  ${machine.name} ${call.what}: ${String(error)}`);
      // The last error of a dead process does not count.
      if (
        !machine.process.isDead &&
        (!isExpected(error, cancel.signal) || isIndexMistaken(machine, call, error))
      )
        this.#broken.push(`${machine.name} ${call.what}: ${stackOf(error)}`);
      if (!(error instanceof Crash) && error instanceof Error) this.#count(codeOf(error));
    } finally {
      if (machine.process.isDead) {
        this.#count('kill -9');
        machine.kill();
        for (const identity of machine.counts().keys())
          if (!before.has(identity)) machine.unnamed.add(identity);
      }
      if (call.mirror !== undefined) this.#mirrors?.fileNewcomers(machine, before);
      machine.process.dieAfter(null);
      machine.process.setFull(null);
      machine.store.plan([], 0);
      machine.store.onCall = () => undefined;
      unlock();
    }
  }

  async #ask(machine: Machine, call: Call, signal: AbortSignal): Promise<string> {
    const sync = { signal, progress: () => undefined };
    switch (call.what) {
      case 'push': {
        const [first, second] = machine.spaces;
        if (first === undefined) throw new Error('a machine takes part in a space');
        if (second !== undefined) await machine.engine.push(second, sync);
        const { rows, segments, head } = await machine.engine.push(first, sync);
        const { cursor } = machine;
        if (head !== null && head.epoch === cursor?.epoch && head.seq < cursor.seq)
          this.#broken.push(`${machine.name}: its log went back from ${cursor.seq} to ${head.seq}`);
        machine.cursor = head;
        return `sent ${rows} rows in ${segments} segments`;
      }
      case 'pull':
      case 'full-pull': {
        const [first, second] = machine.spaces;
        if (first === undefined) throw new Error('a machine takes part in a space');
        const isFull = call.what === 'full-pull';
        const pulled = await machine.engine.pull(first, isFull, sync);
        if (second !== undefined) await machine.engine.pull(second, isFull, sync);
        const problems = pulled.problems.map(({ node, problem }) => `${node}: ${problem}`).join('; ');
        return `${pulled.inserted} in, ${pulled.updated} changed, ${pulled.deleted} deleted, ${pulled.waiting} wait ${problems}`;
      }
      case 'audit': {
        const { changed, deleted } = await machine.engine.audit(sync, { deep: true });
        return `found ${changed} changed, ${deleted} deleted`;
      }
      case 'publish':
      case 'import':
        if (this.#mirrors === null || call.mirror === undefined) throw new Error('a mirror needs an order');
        return await this.#mirrors[call.what](machine, call.mirror, sync);
      case 'notice':
        return `noticed ${(await machine.engine.notice(machine.spaces, signal)).length} spaces`;
    }
  }

  async #fault(fault: Fault, machine: Machine, dice: Dice): Promise<void> {
    const { bucket } = this.#world;
    const one = (part: string): string | null => {
      const keys = bucket.keys(part);
      return keys.length === 0 ? null : dice.pick(keys);
    };
    const lose = (part: string): boolean => {
      const key = one(part);
      return key !== null && bucket.lose([key]);
    };
    let struck = true;
    switch (fault) {
      case 'lose-head':
        struck = lose('/heads/');
        break;
      case 'lose-certificate':
        struck = lose('/keys/');
        break;
      case 'lose-segment':
        struck = lose('/seg/');
        this.#storeHarmed ||= struck;
        break;
      case 'forget-newest':
        struck = bucket.lose(bucket.writtenSince(bucket.writes - dice.between(1, 8)));
        this.#storeHarmed ||= struck;
        break;
      case 'copy-segment':
        struck = this.#copySegment(one('/seg/'), dice);
        break;
      case 'keep-database':
        machine.keepDatabase();
        break;
      case 'keep-ledger':
        machine.keepLedger();
        break;
      case 'lose-ledger':
        struck = !bucket.hasLostOf(machine.node);
        if (!struck) break;
        machine.replaceLedger(null);
        this.#model.tellsOf(machine.node, machine.counts().keys());
        bucket.forgetful.add(machine.node);
        this.#model.forgotDeletions();
        break;
      case 'restore-ledger': {
        const kept = machine.pickLedger((count) => dice.below(count));
        struck = kept !== null && !bucket.hasLostOf(machine.node);
        if (kept !== null && struck) {
          machine.replaceLedger(kept);
          this.#model.tellsOf(machine.node, machine.counts().keys());
          bucket.forked.add(machine.node);
          bucket.forgetful.add(machine.node);
        }
        this.#model.forgotDeletions();
        break;
      }
      case 'restore-database':
      case 'empty-database': {
        const kept = fault === 'empty-database' ? null : machine.pickDatabase((count) => dice.below(count));
        struck = fault === 'empty-database' || kept !== null;
        if (struck) await this.#goBack(machine, kept, dice);
        break;
      }
      case 'truncate-database':
        await this.#truncate(machine, dice);
        break;
      case 'clone-machine':
        struck = this.#machines.length < 6;
        if (struck) this.#clone(machine);
        break;
      case 'clock':
        machine.skew = drawSkew(dice);
        break;
      case 'kill':
        machine.kill();
        break;
      case 'restart':
        await machine.stop();
        break;
    }
    if (struck) this.#count(fault);
  }

  #copySegment(key: string | null, dice: Dice): boolean {
    if (key === null) return false;
    const bytes = this.#world.bucket.get(key);
    const match = /^(.*\/seg\/)([^/]+)\/([^/]+)\/(\d{12})(-.*)$/.exec(key);
    if (bytes === null || match === null) return false;
    const [, root, node, epoch, seq, rest] = match;
    const next = String(Number(seq) + 1).padStart(12, '0');
    const other = dice.pick(this.#machines).node;
    const places = [`${root}${node}/${epoch}/${next}${rest}`, `${root}${other}/${epoch}0/${seq}${rest}`];
    this.#world.bucket.plant(dice.pick(places), bytes);
    this.#storeHarmed = true;
    return true;
  }

  async #goBack(machine: Machine, kept: ReturnType<Machine['pickDatabase']>, dice: Dice): Promise<void> {
    if (dice.chance(0.5)) await machine.stop();
    const thrownAway = machine.pending;
    this.#replaceDatabase(machine, kept);
    this.#model.threwAway(thrownAway, this.#countElsewhere());
    this.#model.broughtBack(machine.counts());
    this.#model.forgotDeletions();
  }

  /**
   * Replaces the database. A damaged segment of this machine may have carried memories that only this machine had.
   * Then nobody can send them again, and the engine reports that.
   */
  #replaceDatabase(machine: Machine, kept: ReturnType<Machine['pickDatabase']>): void {
    this.#storeHarmed ||= this.#world.bucket.hasSpoiltOf(machine.node);
    machine.replaceDatabase(kept);
    this.#model.tellsOf(machine.node, machine.counts().keys());
  }

  /**
   * Cuts off the end of a database. When the agent reports that, a person restores a copy, the earlier one if there
   * is one.
   */
  async #truncate(machine: Machine, dice: Dice): Promise<void> {
    machine.keepDatabase();
    machine.isIndexDamaged = false;
    await machine.stop();
    machine.worker.pragma('wal_checkpoint(TRUNCATE)');
    machine.closeWorker();
    const pages = new Database(machine.path, { readonly: true });
    const count = pages.pragma('page_count', { simple: true }) as number;
    pages.close();
    // Some of its pages are gone, perhaps within one.
    truncateSync(machine.path, dice.between(0, count - 1) * 4_096 + dice.pick([0, 0, 100]));
    const thrownAway = machine.pending;
    const call = { machine: this.#machines.indexOf(machine), dieAfter: null, faults: [], full: null };
    const plain = { ...call, lockedUntil: null, cancelledAt: null, meanwhile: null };
    for (const what of ['push', 'pull'] as const) await this.#call({ ...plain, what }, dice.seed(), true);
    await machine.stop();
    const kept = machine.pickDatabase((number) => (dice.chance(0.7) ? number - 1 : dice.below(number)));
    this.#replaceDatabase(machine, kept);
    this.#model.threwAway(thrownAway, this.#countElsewhere());
    this.#model.broughtBack(machine.counts());
    this.#model.forgotDeletions();
  }

  #clone(machine: Machine): void {
    this.#world.bucket.forked.add(machine.node);
    const name = `${machine.name}${this.#machines.length}`;
    this.#machines.push(new Machine(this.#world, name, machine.release, machine));
  }

  #countElsewhere(): Map<string, number> {
    const most = new Map<string, number>();
    for (const machine of this.#machines) {
      for (const [identity, count] of machine.counts()) {
        if (machine.madeUp.has(identity)) continue;
        most.set(identity, Math.max(count, most.get(identity) ?? 0));
      }
    }
    return most;
  }

  /** Returns a machine. Numbers wrap around, so that a plan works with and without clones. */
  #machine(number: number): Machine {
    const machine = this.#machines[number % this.#machines.length];
    if (machine === undefined) throw new Error('a history needs a machine');
    return machine;
  }

  #count(fault: string, times = 1): void {
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + times);
  }
}

/** Returns whether a call may end with this: an error with a meaning, a crash, or the requested cancellation. */
function isExpected(error: unknown, signal: AbortSignal): boolean {
  if (error instanceof Crash || error === signal.reason) return true;
  if (error instanceof Database.SqliteError) return error.code.startsWith('SQLITE_FULL');
  return error instanceof MembridgeError && error.code !== 'internal';
}

/**
 * Returns whether a damaged index stops more than it must. A push must still send what is here. A person whose
 * memories are sound must not read that the database is damaged.
 */
function isIndexMistaken(machine: Machine, call: Call, error: unknown): boolean {
  if (!machine.isIndexDamaged || !(error instanceof MembridgeError)) return false;
  return error.code === 'memory_corrupt' || (call.what === 'push' && error.code === 'memory_index_damaged');
}

/** Records what a pull deleted. */
function noteGone(machine: Machine, before: ReadonlyMap<string, number>): void {
  const now = machine.counts();
  for (const identity of before.keys()) if (!now.has(identity)) machine.takenOut.add(identity);
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.name);
const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Describes a step on one line. */
export function describe(step: Step): string {
  return JSON.stringify(step);
}
