import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import type { Traffic } from '../../contract/memory/memory.ts';
import type { StoreRoute } from '../../storage/store-route.ts';
import { refuseWhileHeld } from '../detect/guard.ts';
import { copyForSpace, type CopiedSnapshot } from './copy.ts';
import {
  NO_MEMORIES,
  noteHolding,
  notePublished,
  readPublished,
  type MemoryCounts,
} from './memory-counts.ts';
import { noticeRows, mergeTermsOf } from './import.ts';
import type { ImportContext } from './merge-snapshot.ts';
import { LOCK_SECONDS, takeLock } from './lock.ts';
import { formatDigest, legacyKeys, type LegacyManifest, type SnapshotCounts } from './objects.ts';
import { recordSnapshot, noteMerged } from './origin.ts';
import { refuseFewer } from './refuse-fewer.ts';
import { withScratch } from './snapshot.ts';
import { fileDigest } from './file-digest.ts';
import { StoredSnapshot } from './stored-snapshot.ts';
import type { LegacyStore } from './transfer.ts';

/** Where to publish, and how. */
export interface LegacyTarget {
  readonly access: StoreRoute;
  /** This machine's name for the manifest and the lock; the host name by default. */
  readonly hostname?: string;
  /** How long another host's lock is valid, in seconds: from config.env, or the original's 7,260. */
  readonly lockSeconds?: number;
  /**
   * Replace a snapshot that cannot be imported, such as a damaged one. Readable content is imported first.
   */
  readonly overwrite?: boolean;
  /** How many fewer memories a person agreed to publish: the number that the refusal named. */
  readonly fewer?: number | undefined;
  /** Take the push lock from another host, as the original does with FORCE_PUSH=1. */
  readonly force?: boolean;
  /** Throws when this machine must no longer publish; called before anything is stored. */
  readonly mayUpload?: () => Promise<void>;
}

/** The result of a publication. */
export interface LegacyPublication {
  /** `unchanged`: the store already holds exactly these memories, and nothing was written. */
  readonly state: 'published' | 'unchanged';
  /** SHA-256 in hex of the snapshot in the store. */
  readonly sha: string;
  /** Rows that were published, null when nothing was. */
  readonly counts: SnapshotCounts | null;
  /** Memories of the replaced snapshot that were imported first, so that they are not lost. */
  readonly imported: number;
  readonly traffic: Traffic;
  readonly ms: number;
}

/** Describes a publication in one line for people. */
export function describePublication({ state, sha, counts, imported }: LegacyPublication): string {
  if (state === 'unchanged' || counts === null) {
    const line = 'unchanged: the store holds these memories already';
    return imported === 0 ? line : `${line}; ${describeImported(imported)}`;
  }
  const { observations, summaries, prompts } = counts;
  return `published: ${sha}; ${observations} observations, ${summaries} summaries, ${prompts} prompts; ${describeImported(imported)}`;
}

const describeImported = (count: number): string =>
  `${count} ${count === 1 ? 'memory' : 'memories'} came in from the previous snapshot`;

/** Ledger entry for a publication in progress; until it ends, the contents of the store are uncertain. */
const publishingEntry = (cid: string): string => `legacy:publishing:${cid}`;

/**
 * The last published state, by connection and canonical id. While neither the database nor the store changes,
 * two small requests show that nothing needs publishing.
 */
const stoodVersions = new WeakMap<Database.Database, Map<string, string>>();

/** Tries for each small object that makes a database already in the store valid. */
const MAX_TRIES = 3;
const SMALL_MS = 30_000;

/**
 * Publishes the space as the original's whole-file snapshot, for machines that still run its scripts. First
 * imports what another machine has pushed, so that the new snapshot contains it.
 * @throws MembridgeError conflict while another host holds the push lock; mirror_guarded when the new
 * snapshot would hold fewer memories than the replaced one; segment_invalid when the stored snapshot cannot
 * be imported; memory_guarded and other memory_*, store_*. Safe to call again after any of them.
 */
export async function publishSnapshot(
  context: ImportContext,
  target: LegacyTarget,
): Promise<LegacyPublication> {
  if (context.config.encrypted === true) {
    throw new MembridgeError(
      'conflict',
      `The space ${context.config.projectId} is encrypted. The original's snapshot is a plain database, which anyone with access to the bucket could open. ` +
        'To publish it anyway, turn the encryption of the space off.',
    );
  }
  await noticeRows(context);
  refuseWhileHeld(context.session, context.session.path);
  return await withScratch(context.ledgerPath, async (folder) => {
    const publication = new Publication(context, target, folder);
    try {
      return await publication.run();
    } catch (error) {
      const { imported } = publication;
      if (imported === 0 || !(error instanceof MembridgeError)) throw error;
      throw new MembridgeError(error.code, `${error.message} ${describeImported(imported)}.`, {
        cause: error,
      });
    }
  });
}

/** A copy ready for upload, and the database state that it was made from. */
interface Copy extends CopiedSnapshot {
  readonly path: string;
  readonly version: string;
}

class Publication {
  readonly #context: ImportContext;
  readonly #target: LegacyTarget;
  readonly #folder: string;
  readonly #store: LegacyStore;
  readonly #host: string;
  readonly #stored: StoredSnapshot;
  #copies = 0;

  constructor(context: ImportContext, target: LegacyTarget, folder: string) {
    this.#context = context;
    this.#target = target;
    this.#folder = folder;
    this.#store = context.openStore(target.access, context.session.signal);
    this.#host = target.hostname ?? hostname();
    this.#stored = new StoredSnapshot(context, this.#store, folder, {
      overwrite: target.overwrite === true,
      spoiled: () => context.session.ledger.setMeta(publishingEntry(context.config.cid), 1),
    });
  }

  /** Memories of the stored snapshot that were imported so far, even if the publication fails. */
  get imported(): number {
    return this.#stored.imported;
  }

  async run(): Promise<LegacyPublication> {
    const began = performance.now();
    const { session, config, progress } = this.#context;
    const found = await this.#stored.takeIn('with aliases');
    if (found !== null && this.#isStanding(found)) return this.#result(began, found, null);
    const first = await this.#copy();
    if (found !== null && (await this.#isSame(found, first.content))) {
      this.#noteStanding(found, first.version);
      return this.#result(began, found, null);
    }
    // Anything that needs a person's agreement is reported before waiting for the lock.
    const ready = await this.#settle(first);
    const lock = await takeLock(this.#store, config, {
      hostname: this.#host,
      lockSeconds: this.#target.lockSeconds ?? LOCK_SECONDS,
      now: session.now,
      force: this.#target.force === true,
    });
    try {
      // A push that ended before the lock was taken must be in the new snapshot, too.
      const { copy, fewer } = await this.#settle(ready.copy);
      await this.#target.mayUpload?.();
      const sha = await this.#upload(copy, fewer);
      this.#noteStanding(sha, copy.version);
      return this.#result(began, sha, copy.counts);
    } finally {
      await lock.release().catch(() => {
        progress('the push lock could not be released: other machines wait until it expires');
      });
    }
  }

  /**
   * Imports what is in the store, makes a copy that contains it, and checks that the copy may replace it.
   * @throws MembridgeError mirror_guarded, segment_invalid
   */
  async #settle(copy: Copy): Promise<{ copy: Copy; fewer: number }> {
    const { session, config } = this.#context;
    const before = this.#stored.imported;
    await this.#stored.takeIn('alone');
    const next = this.#stored.imported > before ? await this.#copy() : copy;
    const known = {
      holding: this.#stored.holding,
      manifest: await this.#stored.manifest(),
      published: readPublished(session.ledger, config.cid),
    };
    return { copy: next, fewer: refuseFewer(config, known, next.counts, this.#target.fewer) };
  }

  #result(began: number, sha: string, counts: SnapshotCounts | null): LegacyPublication {
    return {
      state: counts === null ? 'unchanged' : 'published',
      sha,
      counts,
      imported: this.#stored.imported,
      traffic: this.#store.traffic,
      ms: performance.now() - began,
    };
  }

  async #copy(): Promise<Copy> {
    const { session, config, progress } = this.#context;
    this.#copies += 1;
    const path = join(this.#folder, `copy-${this.#copies}.db`);
    const version = this.#version();
    return { ...(await copyForSpace(session, config, path, progress)), path, version };
  }

  /** Returns the database's state, as this connection counts it. */
  #version(): string {
    const count = this.#context.session.db.pragma('data_version', { simple: true }) as number;
    return `${count} ${mergeTermsOf(this.#context.config)}`;
  }

  #isUnderWay(): boolean {
    const { session, config } = this.#context;
    return session.ledger.meta(publishingEntry(config.cid)) === 1;
  }

  #isStanding(found: string): boolean {
    const { session, config } = this.#context;
    const seen = stoodVersions.get(session.db)?.get(config.cid);
    return !this.#isUnderWay() && seen === `${found} ${this.#version()}`;
  }

  #noteStanding(sha: string, version: string): void {
    const { session, config } = this.#context;
    const seen = stoodVersions.get(session.db) ?? new Map<string, string>();
    stoodVersions.set(session.db, seen.set(config.cid, `${sha} ${version}`));
  }

  /** Returns whether the store's snapshot has the same content as a copy. */
  async #isSame(found: string, content: string): Promise<boolean> {
    if (this.#isUnderWay()) return false;
    const manifest = await this.#stored.manifest();
    return manifest?.sha256 === found && manifest.membridge_content === content;
  }

  /**
   * Uploads the database first and the digest last. A reader that verifies finds either a whole snapshot, or
   * a mismatch while two small objects are written. The original's own push has the same gap.
   */
  async #upload({ path, counts, content }: Copy, fewer: number): Promise<string> {
    const { session, config, progress } = this.#context;
    const { ledger } = session;
    const keys = legacyKeys(config.cid);
    const sha = await fileDigest(path);
    const memories = pickCounts(counts);
    const manifest: LegacyManifest = {
      project: config.projectId,
      canonical_id: config.cid,
      timestamp: new Date(session.now()).toISOString(),
      source_host: this.#host,
      db_size: statSync(path).size,
      sha256: sha,
      observations: counts.observations,
      session_summaries: counts.summaries,
      user_prompts: counts.prompts,
      tables: counts.tables,
      membridge_content: content,
      membridge_fewer: fewer,
    };
    progress('sending the snapshot');
    ledger.durably(() => ledger.setMeta(publishingEntry(config.cid), 1));
    notePublished(ledger, config.cid, { sha, etag: null, counts: memories });
    const etag = await this.#store.upload(keys.database, path);
    notePublished(ledger, config.cid, { sha, etag, counts: memories });
    // From here on the old digest is wrong, so the writes that correct it are not canceled.
    await this.#putSurely(keys.manifest, JSON.stringify(manifest, null, 2));
    await this.#putSurely(keys.digest, formatDigest(sha));
    const snapshot = recordSnapshot(ledger, { cid: config.cid, host: this.#host, sha }, session.now());
    ledger.atomically(() => {
      ledger.inbox.markApplied(snapshot);
      ledger.setMeta(publishingEntry(config.cid), 0);
      noteMerged(ledger, config.cid, sha, mergeTermsOf(config));
      const holding = {
        sha,
        isSound: true,
        etag,
        counts: memories,
        outside: NO_MEMORIES,
        projects: [],
      };
      noteHolding(ledger, config.cid, mergeTermsOf(config), holding);
    });
    return sha;
  }

  async #putSurely(key: string, text: string): Promise<void> {
    const store = this.#store.detached(MAX_TRIES * SMALL_MS);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await store.put(key, text);
        return;
      } catch (error) {
        const passes = error instanceof MembridgeError && error.retryable;
        if (!passes || attempt === MAX_TRIES) throw error;
        await sleep(1_000);
      }
    }
  }
}

const pickCounts = ({ observations, summaries, prompts }: SnapshotCounts): MemoryCounts => ({
  observations,
  summaries,
  prompts,
});
