import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { takeInventory, type Found } from './inventory.ts';
import { Machine, type World } from './machine.ts';
import { ORIGINAL } from './model.ts';
import type { Dice } from './dice.ts';
import type { Workload, WriteKind } from './workload.ts';

/** The actions of a machine that still runs the original's scripts. */
export const ORIGINAL_ACTS = ['write', 'push', 'push-half', 'push-damaged', 'pull'] as const;
export type OriginalAct = (typeof ORIGINAL_ACTS)[number];

/** What its claude-mem writes. Its deletions stay local, because an import only adds. */
const WRITES = [
  'session',
  'append',
  'append',
  'resume',
  'manual',
  'odd-text',
  'observer',
  'observer',
  'observer',
  'update',
  'finish',
  'rewrite-memory-id',
] as const satisfies readonly WriteKind[];

/** How long another host's push lock is valid, in seconds: the original's time to live and its grace period. */
const LOCK_SECONDS = 7_200 + 60;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/**
 * A machine with the original's scripts. They push the whole database over the mirror of the first space, and replace
 * the whole database by what they pull. No engine runs there.
 */
export class Original {
  readonly machine: Machine;
  readonly #world: World;
  readonly #workload: Workload;

  constructor(world: World, workload: Workload, release: string) {
    this.#world = world;
    this.#workload = workload;
    this.machine = new Machine(world, ORIGINAL, release);
  }

  /** Acts. @returns whether it did something: there was work, and no lock in the way */
  act(act: OriginalAct, dice: Dice): boolean {
    switch (act) {
      case 'write':
        this.#workload.write(this.machine, dice.pick(WRITES), dice);
        return true;
      case 'pull':
        return this.pull();
      default:
        return this.push(act, dice, dice.chance(0.5));
    }
  }

  /**
   * Pushes as the script does: the database, its digest, a manifest, under a lock that it never releases.
   * @param how half: no digest or manifest follows; damaged: the upload is cut off
   * @param force take the lock from any holder
   */
  push(how: 'push' | 'push-half' | 'push-damaged', dice: Dice, force: boolean): boolean {
    const { bucket } = this.#world;
    const cid = this.#cid();
    const at = Math.floor(this.#world.now / 1_000);
    const lock = `projects/${cid}/locks/active.lock`;
    if (!force && isHeld(bucket.get(lock), at)) return false;
    bucket.plant(lock, Buffer.from(JSON.stringify({ hostname: ORIGINAL, timestamp: at, canonical_id: cid })));
    const path = join(this.machine.process.folder, 'snapshot.db');
    rmSync(path, { force: true });
    this.machine.worker.exec(`VACUUM INTO '${path}'`);
    const whole = readFileSync(path);
    const bytes = how === 'push-damaged' ? whole.subarray(0, dice.below(whole.length)) : whole;
    const prefix = this.#prefix();
    bucket.plant(`${prefix}/claude-mem.db`, bytes);
    if (how === 'push-half') return true;
    const sha = sha256(whole);
    bucket.plant(`${prefix}/claude-mem.db.sha256`, Buffer.from(`${sha}  claude-mem.db\n`));
    const count = (table: string): unknown =>
      this.machine.worker.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
    const manifest = {
      project: 'simulated',
      canonical_id: cid,
      timestamp: new Date(this.#world.now).toISOString(),
      source_host: ORIGINAL,
      db_size: bytes.length,
      sha256: sha,
      observations: count('observations'),
      session_summaries: count('session_summaries'),
      user_prompts: count('user_prompts'),
    };
    bucket.plant(`${prefix}/manifest.json`, Buffer.from(JSON.stringify(manifest)));
    return true;
  }

  /** Pulls as the script does, after its check of the digest. @returns whether it pulled something */
  pull(): boolean {
    const { bucket } = this.#world;
    const bytes = bucket.get(`${this.#prefix()}/claude-mem.db`);
    const digest = bucket.get(`${this.#prefix()}/claude-mem.db.sha256`)?.toString('utf8') ?? '';
    if (bytes === null || sha256(bytes) !== digest.trim().split(/\s+/)[0]) return false;
    const path = join(this.machine.process.folder, 'pulled.db');
    writeFileSync(path, bytes);
    const nothing = { orphans: new Set<string>(), copies: new Set<string>(), madeUp: new Set<string>() };
    this.machine.replaceDatabase({ path, pending: new Map(), isIndexDamaged: false, ...nothing });
    return true;
  }

  /** Returns the memories in its database. */
  memories(): Found[] {
    return takeInventory(this.machine.worker);
  }

  #cid(): string {
    const [space] = this.#world.spaces;
    if (space === undefined) throw new Error('there is no space');
    return space.cid;
  }

  #prefix(): string {
    return `projects/${this.#cid()}/sqlite`;
  }
}

/** Returns whether another host holds the push lock. */
function isHeld(lock: Buffer | null, at: number): boolean {
  if (lock === null) return false;
  const { hostname, timestamp } = JSON.parse(lock.toString('utf8')) as {
    hostname: string;
    timestamp: number;
  };
  return hostname !== ORIGINAL && at - timestamp <= LOCK_SECONDS;
}
