import { join } from 'node:path';
import { MembridgeError } from '../../contract/errors.ts';
import { notePublished, readPublished, type Holding } from './memory-counts.ts';
import { emptyImport, importFrom, importUnverified } from './import.ts';
import type { ImportContext, LegacyImport } from './merge-snapshot.ts';
import { legacyKeys, parseManifest, type ReadManifest } from './objects.ts';
import { readStatedDigest } from './snapshot.ts';
import type { LegacyStore } from './transfer.ts';

/** The snapshot that a publication will replace. It is imported before anything replaces it. */
export class StoredSnapshot {
  /** Its contents, as far as they could be read. */
  holding: Holding | null = null;
  /** Its memories that were imported. */
  imported = 0;
  readonly #context: ImportContext;
  readonly #store: LegacyStore;
  readonly #folder: string;
  readonly #options: { readonly overwrite: boolean; spoiled(): void };

  /**
   * @param folder where to download it
   * @param options.overwrite whether a damaged one may be replaced; options.spoiled receives a damaged one
   */
  constructor(
    context: ImportContext,
    store: LegacyStore,
    folder: string,
    options: { readonly overwrite: boolean; spoiled(): void },
  ) {
    this.#context = context;
    this.#store = store;
    this.#folder = folder;
    this.#options = options;
  }

  /**
   * Imports the stored snapshot unless that was done before. Two small requests decide: the digest, and the
   * ETag of the database, which another machine may have written without its digest.
   * @param aliases whether to look under former space names, too
   * @returns the digest of what was imported, null when there is none
   */
  async takeIn(aliases: 'with aliases' | 'alone'): Promise<string | null> {
    const { config } = this.#context;
    const result = emptyImport();
    try {
      if (aliases === 'with aliases') await this.#takeInOlder(result);
      const stated = await readStatedDigest(this.#store, config.cid);
      const etag = await this.#foreignEtag();
      if (stated === null) {
        if (typeof etag === 'string') throw this.#withoutDigest();
        this.holding = null;
        return null;
      }
      this.holding = await importFrom(
        this.#context,
        this.#store,
        config.cid,
        stated,
        this.#folder,
        result,
        etag,
      );
      return this.holding.sha;
    } catch (error) {
      const isDamaged = error instanceof MembridgeError && error.code === 'segment_invalid';
      if (!isDamaged || !this.#options.overwrite) throw error;
      await this.#takeUnverified(result);
      return null;
    } finally {
      this.imported += result.inserted;
    }
  }

  /** Imports what machines pushed under former names of the space. A damaged one there is never replaced. */
  async #takeInOlder(result: LegacyImport): Promise<void> {
    const { config, progress } = this.#context;
    for (const alias of config.aliases ?? []) {
      try {
        const stated = await readStatedDigest(this.#store, alias);
        if (stated === null) continue;
        await importFrom(this.#context, this.#store, alias, stated, this.#folder, result);
      } catch (error) {
        if (!(error instanceof MembridgeError && error.code === 'segment_invalid')) throw error;
        progress(error.message);
      }
    }
  }

  /** Imports what is readable of a damaged snapshot that will be overwritten. */
  async #takeUnverified(result: LegacyImport): Promise<void> {
    const { cid } = this.#context.config;
    this.holding = await importUnverified(this.#context, this.#store, cid, this.#folder, result);
    this.#options.spoiled();
  }

  /**
   * Returns the ETag of the stored database, null when there is none. Returns undefined when this node wrote
   * it, even if it was interrupted before the digest: then it contains nothing new.
   */
  async #foreignEtag(): Promise<string | null | undefined> {
    const { session, config } = this.#context;
    const etag = await this.#store.etag(legacyKeys(config.cid).database);
    const own = readPublished(session.ledger, config.cid);
    if (etag === null) return null;
    if (etag === own?.etag) return undefined;
    if (own?.etag !== null || !(await this.#hasDigest(own.sha))) return etag;
    notePublished(session.ledger, config.cid, { ...own, etag });
    return undefined;
  }

  /**
   * Returns whether the stored database has this SHA-256: an upload may have arrived although it failed here.
   */
  async #hasDigest(sha: string): Promise<boolean> {
    const { database } = legacyKeys(this.#context.config.cid);
    const got = await this.#store.download(database, join(this.#folder, 'interrupted.db'));
    return got?.sha === sha;
  }

  #withoutDigest(): MembridgeError {
    const { database, digest } = legacyKeys(this.#context.config.cid);
    return new MembridgeError(
      'segment_invalid',
      `The snapshot ${database} was not used: there is no ${digest} beside it. A push to it did not finish, or runs now: try again, or push again from the machine that pushed last.`,
    );
  }

  /**
   * Returns the stored manifest, even if it belongs to another snapshot; null when it is missing or
   * malformed.
   */
  async manifest(): Promise<ReadManifest | null> {
    const text = await this.#store.text(legacyKeys(this.#context.config.cid).manifest);
    return text === null ? null : parseManifest(text);
  }
}
