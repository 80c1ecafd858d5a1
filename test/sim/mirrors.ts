import { createHash } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import type { SyncCall } from '../../memory/engine.ts';
import type { LegacyPublication, LegacyTarget } from '../../memory/legacy/publish.ts';
import type { Dice } from './dice.ts';
import { countByIdentity, readable } from './inventory.ts';
import type { Machine, World } from './machine.ts';
import { COUNTED, isCovered, manifestCounts, readDatabase, type Counts } from './mirror-contents.ts';
import type { Model } from './model.ts';
import { Original, type OriginalAct } from './original.ts';
import type { Workload } from './workload.ts';

/** A person's answers when a machine publishes or imports a mirror. */
export interface MirrorOrder {
  /** The space's number. */
  readonly space: number;
  /** Whether to accept the number that a refusal names. */
  readonly agrees: boolean;
  /** By how much the person mistypes it. */
  readonly slip: number;
  /** Whether to replace what cannot be verified. */
  readonly overwrite: boolean;
  /** Whether to take the push lock from any holder. */
  readonly force: boolean;
  /** The store call at which the original's machine pushes, unless there is a lock. */
  readonly pushAt: number | null;
}

/** A publication in progress. */
interface Running {
  /** The number that a person accepted; null for none. */
  readonly agreed: number | null;
  /** Memories that the machine knew to be gone when it began. */
  readonly gone: ReadonlySet<string>;
  /** The mirror that its upload replaced. */
  replaced: Buffer | null;
}

/** Unused: the simulated store needs no address. */
const NOWHERE: StoreAccess = {
  endpoint: 'http://simulated',
  region: '',
  bucket: 'simulated',
  access_key: '',
  secret_key: '',
};

/** How many questions a person answers at the end of a history before it counts as broken. */
const MAX_QUESTIONS = 6;

/**
 * Whole-file mirrors of the spaces for a machine with the original's scripts, and the conditions on every mirror that
 * an engine publishes.
 */
export class Mirrors {
  readonly #world: World;
  readonly #model: Model;
  readonly #workload: Workload;
  readonly #release: string;
  readonly #running = new Map<Machine, Running>();
  /** What the mirrors hold that a machine downloaded in its present call. */
  readonly #downloaded = new Map<Machine, Set<string>>();
  #original: Original | null = null;

  /** @param release of the original machine's claude-mem */
  constructor(world: World, model: Model, workload: Workload, release: string) {
    this.#world = world;
    this.#model = model;
    this.#workload = workload;
    this.#release = release;
  }

  get original(): Original {
    this.#original ??= new Original(this.#world, this.#workload, this.#release);
    return this.#original;
  }

  close(): void {
    this.#original?.machine.close();
  }

  /** Lets the original's machine act. @returns whether it could */
  act(act: OriginalAct, dice: Dice): boolean {
    return this.original.act(act, dice);
  }

  /** Lets the original's machine push during a publication, unless anybody holds the lock. */
  pushBetween(space: number, dice: Dice): void {
    const { spaces, bucket } = this.#world;
    const { cid } = spaceOf(spaces, space);
    if (bucket.get(`projects/${cid}/locks/active.lock`) === null) this.original.push('push', dice, false);
  }

  async publish(machine: Machine, order: MirrorOrder, call: SyncCall): Promise<string> {
    const space = spaceOf(machine.spaces, order.space);
    const { overwrite, force, agrees, slip } = order;
    try {
      return describe(await this.#publish(machine, space, { overwrite, force }, call));
    } catch (error) {
      const number = refusedNumber(error);
      if (number === null || !agrees || machine.process.isDead) throw error;
      const fewer = number + slip;
      return describe(await this.#publish(machine, space, { overwrite, force, fewer }, call));
    }
  }

  async import(machine: Machine, order: MirrorOrder, call: SyncCall): Promise<string> {
    const space = spaceOf(machine.spaces, order.space);
    const { inserted, present, waiting } = await machine.engine.importLegacy(
      space,
      { access: NOWHERE },
      call,
    );
    this.#tookIn(space, this.#wholeMirror(space));
    return `${inserted} in, ${present} were here, ${waiting} wait`;
  }

  async #publish(
    machine: Machine,
    space: SpaceConfig,
    target: Omit<LegacyTarget, 'access'>,
    call: SyncCall,
  ): Promise<LegacyPublication> {
    const running: Running = {
      agreed: target.fewer ?? null,
      gone: new Set([...machine.takenOut].filter((identity) => this.#model.isGone(identity))),
      replaced: null,
    };
    this.#running.set(machine, running);
    try {
      const hostname = machine.node;
      const result = await machine.engine.publishLegacy(
        space,
        { access: NOWHERE, hostname, ...target },
        call,
      );
      this.#tookIn(space, running.replaced ?? this.#wholeMirror(space));
      return result;
    } finally {
      this.#running.delete(machine);
    }
  }

  /** Notes the memories that a machine may import from a mirror. */
  noteDownload(machine: Machine, key: string, bytes: Buffer): void {
    const space = this.#world.spaces.find(({ cid }) => key.includes(cid));
    const held = space === undefined ? null : readDatabase(bytes);
    if (space === undefined || held === null) return;
    const downloaded = this.#downloaded.get(machine) ?? new Set<string>();
    this.#downloaded.set(machine, downloaded);
    for (const { identity, state } of held.found) if (isCovered(space, state)) downloaded.add(identity);
  }

  /**
   * Files what a machine has from mirrors after a call. The machine has yet to send what is there now and was not there before: it came
   * from a mirror, or claude-mem wrote it. What a mirror holds and is still not there may wait for its session. A later pull merges
   * it as the machine's own, even if the machine no longer trusts its writer by then.
   */
  fileNewcomers(machine: Machine, before: ReadonlyMap<string, number>): void {
    const now = machine.counts();
    const newcomers = [...now].filter(
      ([identity, count]) => count > (before.get(identity) ?? 0) && !machine.pending.has(identity),
    );
    for (const [identity, count] of newcomers) machine.pending.set(identity, count);
    const waiting = [...(this.#downloaded.get(machine) ?? [])].filter((identity) => !now.has(identity));
    this.#downloaded.delete(machine);
    this.#model.tellsOf(machine.node, [...newcomers.map(([identity]) => identity), ...waiting]);
  }

  /** Judges an object that an engine is about to store over another one. */
  judge(machine: Machine, key: string, bytes: Buffer): void {
    const say = (problem: string): void =>
      void this.#world.bucket.violations.push(`${machine.name} published ${key}: ${problem}`);
    if (this.#world.bucket.isEncrypted) say('the space is encrypted');
    if (!key.endsWith('/claude-mem.db')) return;
    const running = this.#running.get(machine);
    const space = this.#world.spaces.find(({ cid }) => key.includes(cid));
    const held = readDatabase(bytes);
    if (running === undefined || space === undefined || held === null) {
      say('it is no sound database that anybody asked for');
      return;
    }
    running.replaced = this.#world.bucket.get(key);
    for (const { identity, state } of held.found) {
      if (this.#model.isExcluded(identity) || !isCovered(space, state))
        say(`${readable(identity)} is excluded`);
      if (running.gone.has(identity) && this.#model.isGone(identity))
        say(`${readable(identity)} was deleted, and the machine knew`);
    }
    this.#judgeSize(key, running, held.counts, say);
  }

  #judgeSize(key: string, running: Running, next: Counts, say: (problem: string) => void): void {
    const manifest = this.#manifest(key.replace('claude-mem.db', 'manifest.json'));
    const before = running.replaced === null ? null : readDatabase(running.replaced);
    const counts = before?.counts ?? (running.replaced === null ? null : manifestCounts(manifest));
    if (counts === null) return;
    const fewer = COUNTED.reduce(
      (sum, table) => sum + Math.max(counts[table] - next[table], before?.excluded[table] ?? 0, 0),
      0,
    );
    if (fewer === 0) return;
    const words = `it holds ${JSON.stringify(next)}, what it replaces ${JSON.stringify(counts)}`;
    if (running.agreed === null) say(`${words}, and nobody agreed`);
    // Of a mirror that another engine published, nobody knows more than what is in it.
    const isEngines =
      before !== null &&
      manifest['membridge_fewer'] !== undefined &&
      running.replaced !== null &&
      manifest['sha256'] === sha256(running.replaced);
    if (running.agreed !== null && (isEngines ? running.agreed !== fewer : running.agreed < fewer))
      say(`${words}, and a person agreed to ${running.agreed}`);
  }

  /** Requires that everything from the original's machine in a mirror that a machine imported is everywhere at the end. */
  #tookIn(space: SpaceConfig, mirror: Buffer | null): void {
    const held = mirror === null || !space.projects.includes('*') ? null : readDatabase(mirror);
    if (held !== null) this.#model.tookIn(countByIdentity(held.found));
  }

  /** Returns a mirror whose digest fits; null when there is none. */
  #wholeMirror({ cid }: SpaceConfig): Buffer | null {
    const { bucket } = this.#world;
    const bytes = bucket.get(`projects/${cid}/sqlite/claude-mem.db`);
    const digest = bucket.get(`projects/${cid}/sqlite/claude-mem.db.sha256`)?.toString('utf8') ?? '';
    return bytes !== null && digest.startsWith(sha256(bytes)) ? bytes : null;
  }

  #manifest(key: string): Record<string, unknown> {
    const text = this.#world.bucket.get(key)?.toString('utf8');
    return text === undefined ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  /**
   * Publishes every mirror at the end of a history, with whatever a person must accept; none in encrypted spaces.
   * @returns how many memories came in
   */
  async publishSurely(machine: Machine): Promise<number> {
    if (this.#world.bucket.isEncrypted) return 0;
    const call = { signal: new AbortController().signal, progress: () => undefined };
    let imported = 0;
    for (const space of machine.spaces) {
      let fewer: number | undefined;
      for (let question = 1; ; question += 1) {
        try {
          const target = { overwrite: true, force: true, fewer };
          imported += (await this.#publish(machine, space, target, call)).imported;
          break;
        } catch (error) {
          const isGuarded = error instanceof MembridgeError && error.code === 'memory_guarded';
          fewer = refusedNumber(error) ?? fewer;
          if (question === MAX_QUESTIONS || (refusedNumber(error) === null && !isGuarded)) throw error;
          if (isGuarded) await machine.engine.resolveDeletes('restore', call);
        }
      }
    }
    return imported;
  }

  /**
   * Makes the original's machine pull the last mirror.
   * @returns how often each memory then exists; null when there is no mirror
   */
  pullLast(): Map<string, number> | null {
    if (this.#world.bucket.isEncrypted) return null;
    return this.original.pull() ? countByIdentity(this.original.memories()) : new Map<string, number>();
  }
}

const describe = ({ state, imported }: LegacyPublication): string => `${state}, took ${imported} in`;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function spaceOf(spaces: readonly SpaceConfig[], number: number): SpaceConfig {
  const space = spaces[number % spaces.length];
  if (space === undefined) throw new Error('there is no space');
  return space;
}

/** Returns the number that a refusal asks a person to confirm; null for another error. */
function refusedNumber(error: unknown): number | null {
  if (!(error instanceof MembridgeError) || error.code !== 'mirror_guarded') return null;
  const number = /--fewer (\d+)\./.exec(error.message)?.[1];
  return number === undefined ? null : Number(number);
}
