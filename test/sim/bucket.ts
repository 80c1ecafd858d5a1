import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { MembridgeError } from '../../contract/errors.ts';
import type { Traffic } from '../../contract/memory/memory.ts';
import type { ListedObject, ObjectStore } from '../../storage/object-store.ts';
import { Dice } from './dice.ts';
import type { SimProcess } from './process.ts';

/** The faults of a single call to the store. */
export const CALL_FAULTS = [
  'unavailable',
  'lost-answer',
  'refused-own-write',
  'torn-put',
  'truncated-body',
  'flipped-body',
  'slow',
  'stale-list',
  'partial-list',
  'repeated-list',
  'reordered-list',
  'missing-object',
] as const;
export type CallFault = (typeof CALL_FAULTS)[number];

/** A fault of the nth call of an engine's push or pull. */
export interface PlannedFault {
  readonly at: number;
  readonly fault: CallFault;
}

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  /** The number of this write in the bucket. */
  readonly write: number;
  /** When it was stored, by the store's clock, epoch ms. */
  readonly at: number;
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The objects of one simulated bucket, and the rules that every write must keep. */
export class Bucket {
  readonly #objects = new Map<string, Stored>();
  /** Objects whose bytes a fault spoiled: writing the right ones again is no change. */
  readonly #spoilt = new Set<string>();
  /** Nodes that exist twice, or whose ledger was restored from an older copy: they may write two segments to one place. */
  readonly forked = new Set<string>();
  /** Nodes whose ledger was lost or restored: it may lack segments that they wrote. */
  readonly forgetful = new Set<string>();
  readonly #lost = new Set<string>();
  /** Writes that broke the rules; empty at the end of a correct history. */
  readonly violations: string[] = [];
  /** Objects that no node wrote. */
  readonly #planted = new Set<string>();
  #writes = 0;
  /** Whether nobody may store a memory that non-members can read. */
  isEncrypted = false;
  /** The store's clock, epoch ms. */
  now: () => number = () => 0;

  keys(part = ''): string[] {
    return [...this.#objects.keys()].filter((key) => key.includes(part)).sort();
  }

  get(key: string): Buffer | null {
    return this.#objects.get(key)?.bytes ?? null;
  }

  etag(key: string): string | null {
    return this.#objects.get(key)?.etag ?? null;
  }

  get writes(): number {
    return this.#writes;
  }

  /** Stores an object for a node. The node must use its own names, and never change a segment. */
  put(node: string, key: string, bytes: Buffer): void {
    const own = new RegExp(`/(heads/${node}|keys/${node}\\.json|(seg|snap)/${node}/.+|acks/${node})$`);
    if (!own.test(key)) this.violations.push(`${node} wrote ${key}, which is not its own`);
    if (this.isEncrypted && isReadable(bytes))
      this.violations.push(`${node} stored ${key} in plain text although the space is encrypted`);
    const before = this.#objects.get(key);
    if (key.includes('/seg/')) {
      if (!key.includes(`-${sha256(bytes).slice(0, 32)}.`))
        this.violations.push(`${key} is not named by its content`);
      const place = key.slice(0, key.lastIndexOf('-'));
      const others = [...this.#objects.keys()].filter(
        (other) => other.startsWith(`${place}-`) && other !== key,
      );
      if (others.some((other) => !this.#planted.has(other)) && !this.forked.has(node))
        this.violations.push(`${key} is the second segment in its place`);
      if (before !== undefined && !before.bytes.equals(bytes) && !this.#spoilt.has(key))
        this.violations.push(`${key} was written again with other bytes`);
    }
    this.#spoilt.delete(key);
    this.#set(key, bytes);
  }

  /** Replaces an object's bytes: bit rot, or a torn write. */
  spoil(key: string, bytes: Buffer): void {
    this.#spoilt.add(key);
    this.#set(key, bytes);
  }

  /** Stores an object that nobody wrote: a copy under another name. */
  plant(key: string, bytes: Buffer): void {
    this.#planted.add(key);
    this.#set(key, bytes);
  }

  remove(key: string): void {
    this.#objects.delete(key);
  }

  /**
   * Loses objects.
   * @returns false, and loses nothing, when one is a segment that its writer's ledger may no longer know. If both
   * lost it, nobody would have it
   */
  lose(keys: readonly string[]): boolean {
    if (keys.length === 0 || keys.some((key) => this.forgetful.has(writerOf(key) ?? ''))) return false;
    for (const key of keys) {
      this.#objects.delete(key);
      this.#lost.add(key);
    }
    return true;
  }

  /** Returns whether the bytes of one of a node's segments are spoiled. */
  hasSpoiltOf(node: string): boolean {
    return [...this.#spoilt].some((key) => key.includes('/seg/') && writerOf(key) === node);
  }

  /** Returns whether one of a node's segments is lost, and was not restored. */
  hasLostOf(node: string): boolean {
    return [...this.#lost].some((key) => writerOf(key) === node);
  }

  /** Returns what was written after a write: what a store that is restored from a backup loses. */
  writtenSince(write: number): string[] {
    return [...this.#objects].filter(([, object]) => object.write > write).map(([key]) => key);
  }

  list(prefix: string, startAfter: string, upToWrite = Number.POSITIVE_INFINITY): ListedObject[] {
    return [...this.#objects]
      .filter(([key, { write }]) => key.startsWith(prefix) && key > startAfter && write <= upToWrite)
      .map(([key, { bytes, etag, at }]) => ({ key, size: bytes.length, etag, modified: at }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #set(key: string, bytes: Buffer): void {
    this.#writes += 1;
    this.#lost.delete(key);
    this.#objects.set(key, {
      bytes: Buffer.from(bytes),
      etag: md5(bytes),
      write: this.#writes,
      at: this.now(),
    });
  }
}

/**
 * Returns whether an object reveals a memory to readers of the bucket. Plain parsing, which shares nothing with the
 * judged code.
 */
function isReadable(bytes: Buffer): boolean {
  if (bytes.includes('said w')) return true;
  const body = bytes.subarray(bytes.indexOf(0x0a, bytes.indexOf(0x0a) + 1) + 1);
  try {
    return zstdDecompressSync(body).length > 0;
  } catch {
    return false;
  }
}

/** Returns the node whose segment has this key; null for other objects. */
const writerOf = (key: string): string | null => /\/seg\/([^/]+)\//.exec(key)?.[1] ?? null;

export const unavailable = (what: string): MembridgeError =>
  new MembridgeError('store_unavailable', `The simulated store could not ${what}.`);

/** Returns what arrives of an object when a fault hits its body. */
export function damageBody(bytes: Buffer, fault: CallFault | null, dice: Dice): Buffer {
  if (fault === 'truncated-body') return Buffer.from(bytes.subarray(0, dice.below(bytes.length)));
  const copy = Buffer.from(bytes);
  if (fault === 'flipped-body' && copy.length > 0) {
    const at = dice.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << dice.below(8));
  }
  return copy;
}

/** One machine's access to the bucket: the object store that its engine uses, with the planned faults. */
export class SimStore implements ObjectStore {
  readonly #bucket: Bucket;
  readonly #node: string;
  readonly #process: SimProcess;
  #plan: readonly PlannedFault[] = [];
  #dice = new Dice(0);
  #calls = 0;
  #traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };
  /** Runs before a call is answered, so that others can act in between. */
  onCall: (call: number) => void = () => undefined;
  /** How often each fault really hit. */
  readonly struck = new Map<CallFault, number>();

  constructor(bucket: Bucket, node: string, process: SimProcess) {
    this.#bucket = bucket;
    this.#node = node;
    this.#process = process;
  }

  /** Decides the details of a planned fault. */
  get dice(): Dice {
    return this.#dice;
  }

  /** Plans the faults of coming calls. */
  plan(faults: readonly PlannedFault[], seed: number): void {
    this.#plan = faults;
    this.#dice = new Dice(seed);
    this.#calls = 0;
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    const fault = await this.begin(['unavailable', 'lost-answer', 'refused-own-write', 'torn-put', 'slow']);
    this.#traffic.bytesUp += bytes.length;
    if (fault === 'unavailable') throw unavailable(`store ${key}`);
    if (fault === 'torn-put') {
      // What openObjectStore finds by the ETag; the damaged object stays.
      this.#bucket.spoil(key, bytes.subarray(0, this.#dice.below(bytes.length)));
      throw unavailable(`store all of ${key}`);
    }
    this.#bucket.put(this.#node, key, bytes);
    this.#process.step();
    if (fault === 'lost-answer') throw unavailable(`answer that it stored ${key}`);
    if (fault === 'refused-own-write') {
      throw new MembridgeError(
        'store_refused',
        `The simulated store has ${key} already (PreconditionFailed).`,
      );
    }
  }

  async get(key: string): Promise<Buffer | null> {
    const faults = ['unavailable', 'truncated-body', 'flipped-body', 'slow', 'missing-object'] as const;
    const fault = await this.begin(faults);
    if (fault === 'unavailable') throw unavailable(`read ${key}`);
    const bytes = this.#bucket.get(key);
    if (bytes === null || fault === 'missing-object') return null;
    this.#traffic.bytesDown += bytes.length;
    return damageBody(bytes, fault, this.#dice);
  }

  async list(prefix: string, startAfter = ''): Promise<ListedObject[]> {
    const faults = [
      'unavailable',
      'slow',
      'stale-list',
      'partial-list',
      'repeated-list',
      'reordered-list',
    ] as const;
    const fault = await this.begin(faults);
    if (fault === 'unavailable') throw unavailable(`list ${prefix}`);
    const since = fault === 'stale-list' ? this.#bucket.writes - this.#dice.between(1, 6) : undefined;
    const listed = this.#bucket.list(prefix, startAfter, since);
    if (fault === 'partial-list') return listed.filter(() => this.#dice.chance(0.5));
    if (fault === 'repeated-list') return listed.flatMap((object) => [object, object]);
    if (fault === 'reordered-list') return this.#dice.shuffled(listed);
    return listed;
  }

  async remove(key: string): Promise<void> {
    await this.begin([]);
    this.#bucket.violations.push(`${this.#node} deleted ${key}: an engine deletes nothing`);
    this.#bucket.remove(key);
  }

  takeTraffic(): Traffic {
    const traffic = this.#traffic;
    this.#traffic = { requests: 0, bytesUp: 0, bytesDown: 0 };
    return traffic;
  }

  close(): void {
    // Nothing is held open.
  }

  /** Counts a call, lets others act, and returns the matching fault that hits, if any. */
  async begin(fitting: readonly CallFault[]): Promise<CallFault | null> {
    this.#process.step();
    this.#traffic.requests += 1;
    this.#calls += 1;
    const call = this.#calls;
    this.onCall(call);
    const planned = this.#plan.find(({ at, fault }) => at === call && fitting.includes(fault))?.fault ?? null;
    const turns = planned === 'slow' ? 12 : this.#dice.below(3);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    this.#process.step();
    if (planned !== null) this.struck.set(planned, (this.struck.get(planned) ?? 0) + 1);
    return planned;
  }
}
