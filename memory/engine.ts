import { realpathSync, statSync } from 'node:fs';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import type { MemoryStatus, PullResult, PushResult, SpaceConfig } from '../contract/memory/memory.ts';
import type { Membership } from '../contract/memory/membership.ts';
import type { Uncovered } from '../contract/memory/uncovered.ts';
import { memoryState } from '../contract/memory/sync-state.ts';
import type { EngineOptions } from './engine-options.ts';
import { writeAck } from './pull/acks.ts';
import { applyStaged, type Applied } from './pull/apply.ts';
import { adoptColumns } from './pull/adopt-columns.ts';
import { auditAll, auditChanged, auditFor, auditRecent, type Audited } from './detect/audit.ts';
import { blame, type Blame } from './provenance/blame.ts';
import { explainError } from './claude-mem/failures.ts';
import { countRows } from './detect/canonical-hash.ts';
import { collectOwn, type Collected, type CollectOptions } from './snapshot/collect.ts';
import { hasUnsent } from './push/emit.ts';
import { REOPEN, STATES } from './error-effects.ts';
import { fetchSegments } from './pull/fetch.ts';
import {
  approveDeletions,
  checkDeletions,
  heldDeletions,
  isLetThrough,
  refuseWhileHeld,
} from './detect/guard.ts';
import type { Kind } from './format/kinds.ts';
import { lockDatabase } from './ledger/open.ts';
import { healDamaged } from './pull/heal.ts';
import { importSnapshots, retryImported, type LegacySource } from './legacy/import.ts';
import type { ImportContext, LegacyImport } from './legacy/merge-snapshot.ts';
import { refuseDeposed } from './space/leader.ts';
import { publishSnapshot, type LegacyPublication, type LegacyTarget } from './legacy/publish.ts';
import { openLegacyStore } from './legacy/open-store.ts';
import type { Revocation } from './ledger/revocations.ts';
import { Members } from './space/members.ts';
import { withMerging } from './merge/batches.ts';
import { sendUnsent } from './push/push.ts';
import { OpenFiles } from './open-files.ts';
import { Outcomes } from './outcomes.ts';
import { tellNewNames } from './space/rename-projects.ts';
import { revoke, undoRevocation, type RevokeResult } from './provenance/revoke.ts';
import { scanNewRows } from './detect/scan.ts';
import { settleSessionNames } from './merge/session-names.ts';
import type { SyncSession } from './session.ts';
import {
  announceRestore,
  beginRestore,
  buildRestored,
  builtPath,
  publishFile,
  refuseExisting,
  settleRestore,
  type RestoreOptions,
  type RestoreResult,
} from './restore/restore.ts';
import { refuseWhileUsed, swapDatabase } from './restore/swap.ts';
import { catchUp } from './snapshot/catch-up.ts';
import { writeSnapshot, type SnapshotResult } from './snapshot/write.ts';
import { findUncovered } from './space/uncovered.ts';
import { hasPassed } from './format/versions.ts';

/** How often every segment is listed although no head moved: heads are hints (10 minutes, in milliseconds). */
const FULL_LIST_EVERY_MS = 600_000;

/** How long a row waits for a session that may still come, in milliseconds. */
const ORPHAN_WAIT_MS = 600_000;

/** Rows of one slice of the rolling audit: about a millisecond. */
const AUDIT_SLICE_ROWS = 100;

export interface SyncCall {
  readonly signal: AbortSignal;
  /** Hears one line for people now and then: counts only, never content. */
  readonly progress: (text: string) => void;
}

/**
 * Keeps one claude-mem database in step with its spaces. Calls run one after another; all of them may be repeated after
 * any failure. Knows neither Temporal nor HTTP.
 */
export class MemoryEngine {
  readonly #options: EngineOptions;
  readonly #now: () => number;
  readonly #files: OpenFiles;
  readonly #outcomes: Outcomes;
  readonly #members: Members;
  #turn: Promise<unknown> = Promise.resolve();
  /** How the database stood when spaces were last told of; null when they are to be told again whatever happened. */
  #told: string | null = null;
  /** How it stood when it was last looked through for what is new. */
  #looked: string | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#files = new OpenFiles(options, this.#now);
    this.#members = new Members(options.identity.controlPublicKey);
    this.#outcomes = new Outcomes({
      now: this.#now,
      explain: (error) => this.#explained(error),
      open: () => this.#files.open().ledger,
    });
  }

  /**
   * Sends what the space has not got. A node's first push pulls before it sends, so that shared history is not sent
   * twice. When what peers sent cannot be merged, it stays staged, the result says why, and this node's own memories are sent.
   * @throws MembridgeError memory_*, ledger_failed, disk_full, store_*; safe to call again
   */
  async push(config: SpaceConfig, call: SyncCall): Promise<PushResult> {
    return await this.#tracked('push', config, call, async () => {
      const began = performance.now();
      const session = this.#session(call);
      const { store, ledger } = session;
      store.takeTraffic();
      await settleRestore(session, () => this.#scan(session));
      await this.#look(session);
      if (isLetThrough(session)) {
        approveDeletions(ledger);
        await auditAll(session, call.signal);
      }
      refuseWhileHeld(session, session.path);
      const first = ledger.spaces.configure(config).epoch === null;
      const unmerged = await this.#outcomes.mergeApart(config, async () => {
        await adoptColumns(session);
        if (first) await this.#fetchAndApply(session, config, true, call);
        else
          await withMerging(session, config, (merging) =>
            applyStaged(session, config, call.progress, merging),
          );
      });
      tellNewNames(session, config);
      const pushed = await sendUnsent(session, config, call.progress);
      session.scanned.clear();
      const { epoch, seq } = ledger.spaces.get(config.cid);
      const uncovered = pushed.rows === 0 ? findUncovered(session, config) : null;
      return {
        rows: pushed.rows,
        segments: pushed.segments,
        ...(pushed.withheld.size > 0 ? { withheld: [...pushed.withheld.values()] } : {}),
        head: epoch === null || seq === 0 ? null : { epoch, seq },
        ...(uncovered === null ? {} : { uncovered }),
        ...(unmerged === null ? {} : { unmerged }),
        traffic: store.takeTraffic(),
        ms: performance.now() - began,
      };
    });
  }

  /**
   * Fetches and merges what the peers sent.
   * @param full list every segment rather than trust the heads
   * @throws MembridgeError memory_*, ledger_failed, disk_full, store_*; safe to call again
   */
  async pull(config: SpaceConfig, full: boolean, call: SyncCall): Promise<PullResult> {
    return await this.#tracked('pull', config, call, async () => {
      const began = performance.now();
      const session = this.#session(call);
      const { store, ledger } = session;
      store.takeTraffic();
      const space = ledger.spaces.configure(config);
      const due = full || hasPassed(space.lastFullList, FULL_LIST_EVERY_MS, this.#now());
      // Rows that a crash left unnamed must be named before their operations come again.
      await this.#look(session);
      await adoptColumns(session);
      const { applied, fetched } = await this.#fetchAndApply(session, config, due, call);
      const damaged = ledger.inbox
        .damaged(space.id)
        .map(({ node, seq, problem }) => ({ node, problem: `segment ${seq} is damaged: ${problem}` }));
      if (due) await healDamaged(session, config);
      await this.#acknowledge(session, config.cid, false);
      const told = new Set(fetched.problems.map(({ node }) => node));
      const uncovered = applied.inserted === 0 ? findUncovered(session, config) : null;
      return {
        ...applied,
        segments: fetched.segments,
        problems: [
          ...applied.problems,
          ...fetched.problems,
          ...damaged.filter(({ node }) => !told.has(node)),
          ...ledger.inbox.guarded(space.id).map(({ node, problem }) => ({ node, problem })),
        ],
        ...(uncovered === null ? {} : { uncovered }),
        traffic: store.takeTraffic(),
        ms: performance.now() - began,
      };
    });
  }

  /**
   * Looks whether claude-mem has written anything that a space has not got.
   * @returns the canonical ids of such spaces; none while nothing was committed since the last look
   * @throws MembridgeError memory_* as for a push
   */
  async notice(configs: readonly SpaceConfig[], signal: AbortSignal): Promise<string[]> {
    return await this.#exclusively(async () => {
      const call = { signal, progress: () => undefined };
      const session = this.#session(call);
      const stamp = this.#files.stamp(session);
      if (stamp === this.#told) return [];
      await this.#look(session);
      this.#told = stamp;
      return configs
        .filter((config) => hasUnsent(session.ledger, session.ledger.spaces.configure(config)))
        .map((config) => config.cid);
    });
  }

  /**
   * Looks for changes and deletions of rows that were sent before.
   * @param options.deep compare every row rather than the newest ones
   * @throws MembridgeError memory_* as for a push
   */
  async audit(call: SyncCall, options: { deep: boolean }): Promise<Audited> {
    return await this.#exclusively(async () => {
      const session = this.#session(call);
      await this.#look(session);
      return options.deep ? await auditAll(session, call.signal) : auditRecent(session);
    });
  }

  /**
   * Goes on with the rolling audit for about `ms` milliseconds.
   * @returns whether that ended a round over the whole database
   */
  async auditFor(ms: number): Promise<boolean> {
    return await this.#exclusively(() => {
      const session = this.#session({ signal: new AbortController().signal, progress: () => undefined });
      const { ended, found } = auditFor(session, { ms, limit: AUDIT_SLICE_ROWS });
      if (found.changed + found.deleted > 0) this.#told = null;
      return Promise.resolve(ended);
    });
  }

  /**
   * Answers the question that a push asks when very many memories are gone (memory_guarded).
   * @param answer approve: they were deleted on purpose, tell the fleet; restore: have them back from the fleet
   */
  async resolveDeletes(answer: 'approve' | 'restore', call: SyncCall): Promise<{ deletes: number }> {
    return await this.#exclusively(async () => {
      const session = this.#session(call);
      const { ledger } = session;
      checkDeletions(session);
      const deletes = heldDeletions(ledger);
      if (answer === 'restore') {
        // A new incarnation knows of no rows that were here: what the fleet has comes in again.
        ledger.reset();
        this.#looked = null;
      } else if (deletes > 0) {
        approveDeletions(ledger);
        await auditAll(session, call.signal);
      }
      this.#told = null;
      return { deletes };
    });
  }

  /**
   * Writes what this node holds of a space as a snapshot, from which new nodes start and behind which old segments can be
   * collected. Pulls first and looks at every row, so that it tells of everything that the store has.
   * @throws MembridgeError memory_guarded while deletions wait for a person; conflict when something cannot be told from
   * here; deposed; memory_*, ledger_failed, store_*. What was written of one that failed is collected later.
   * @param epoch as primary in this epoch; nothing: because a person asked
   */
  async snapshot(config: SpaceConfig, call: SyncCall, epoch?: number): Promise<SnapshotResult> {
    return await this.#exclusively(async () => {
      const session = this.#session(call);
      const mayFinish = this.#asPrimary(session, config, epoch);
      await mayFinish();
      session.ledger.spaces.configure(config);
      await this.#look(session);
      await this.#fetchAndApply(session, config, true, call);
      await auditAll(session, call.signal);
      refuseWhileHeld(session, session.path);
      await sendUnsent(session, config, call.progress);
      const result = await writeSnapshot(session, config, call.progress, mayFinish);
      await this.#acknowledge(session, config.cid, true);
      return result;
    });
  }

  /**
   * Removes what nobody needs any more of this node's own objects in a space: segments that a snapshot tells of and every
   * living node has used, older snapshots, and parts of snapshots that never came to be.
   * @throws MembridgeError memory_*, ledger_failed, store_*; safe to call again
   */
  async collect(config: SpaceConfig, call: SyncCall, options: CollectOptions = {}): Promise<Collected> {
    return await this.#exclusively(async () => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      return await collectOwn(session, config, options);
    });
  }

  /**
   * Builds a space as it was at a time, with everything else that is here, as a new database; and, when told so, puts it in
   * claude-mem's place, keeps the old one beside it, and has the fleet follow at the next push.
   * @throws MembridgeError conflict while a program has the database open, when a file is there already, or when that
   * time needs what was collected; segment_invalid in place when something of that time cannot be read; memory_*, store_*
   */
  async restoreTo(options: RestoreOptions, call: SyncCall): Promise<RestoreResult> {
    return await this.#exclusively(async () => {
      const { config, out } = options;
      const { ledgerPath, lockDirectory } = this.#options;
      const inPlace = out === 'in place';
      const session = this.#session(call);
      const real = realpathSync(session.path);
      const built = builtPath(inPlace ? real : out.path);
      if (inPlace) refuseWhileUsed(real);
      else refuseExisting(out.path);
      session.ledger.spaces.configure(config);
      await this.#look(session);
      await this.#fetchAndApply(session, config, true, call);
      await auditAll(session, call.signal);
      if (inPlace) beginRestore(session);
      const result = await buildRestored(
        session,
        { ledger: ledgerPath, path: built },
        options,
        call.progress,
      );
      if (!inPlace) {
        publishFile(built, out.path);
        return { ...result, path: out.path, backup: null };
      }
      call.progress('swapping the databases');
      announceRestore(session, built);
      this.#files.close();
      const lock = lockDatabase(real, lockDirectory);
      let backup: string;
      try {
        backup = swapDatabase(real, built, this.#now(), call.progress);
      } finally {
        lock.release();
      }
      const after = this.#session(call);
      await settleRestore(after, () => this.#scan(after));
      return { ...result, path: real, backup };
    });
  }

  /**
   * Finds the spaces that cover nothing of this database.
   * @returns by canonical id, the claude-mem projects that there are instead
   * @throws MembridgeError memory_* as for a push
   */
  async uncovered(configs: readonly SpaceConfig[]): Promise<Map<string, Uncovered>> {
    return await this.#exclusively(() => {
      const files = this.#files.open();
      const found = configs.map((config) => [config.cid, findUncovered(files, config)] as const);
      return Promise.resolve(new Map(found.flatMap(([cid, each]) => (each === null ? [] : [[cid, each]]))));
    });
  }

  /** Where the memory in a row of claude-mem came from. */
  async blame(kind: Kind, row: number): Promise<Blame[]> {
    return await this.#exclusively(() => Promise.resolve(blame(this.#files.open().ledger, kind, row)));
  }

  /**
   * Takes back everything that a node wrote in a space since a time (memory/provenance/revoke.ts). Fetches what there is first.
   * @throws MembridgeError memory_*, store_*
   */
  async revoke(
    config: SpaceConfig,
    target: { node: string; since: number; dryRun: boolean },
    call: SyncCall,
  ): Promise<RevokeResult> {
    return await this.#exclusively(async () => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      await this.#look(session);
      await this.#fetchAndApply(session, config, true, call);
      this.#told = null;
      return revoke(session, config, target);
    });
  }

  /** Undoes a revocation that was made on this node. @throws MembridgeError not_found, conflict, memory_* */
  async undoRevocation(config: SpaceConfig, id: string, call: SyncCall): Promise<RevokeResult> {
    return await this.#exclusively(() => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      this.#told = null;
      return Promise.resolve(undoRevocation(session, config, id));
    });
  }

  /**
   * Merges the original's whole-file snapshot of a space as a peer's rows (memory/legacy/import.ts). The next push tells
   * the fleet.
   * @throws MembridgeError not_found, segment_invalid, memory_*, store_*; safe to call again
   */
  async importLegacy(config: SpaceConfig, source: LegacySource, call: SyncCall): Promise<LegacyImport> {
    return await this.#exclusively(() => importSnapshots(this.#forLegacy(config, call), source));
  }

  /**
   * Publishes a space as the original's whole-file snapshot, for machines still on its scripts (memory/legacy/publish.ts).
   * @param epoch as primary in this epoch; nothing: because a person asked
   * @throws MembridgeError conflict, deposed, segment_invalid, memory_*, store_*; safe to call again
   */
  async publishLegacy(
    config: SpaceConfig,
    target: LegacyTarget,
    call: SyncCall,
    epoch?: number,
  ): Promise<LegacyPublication> {
    return await this.#exclusively(async () => {
      const mayUpload = this.#asPrimary(this.#session(call), config, epoch);
      await mayUpload();
      return await publishSnapshot(this.#forLegacy(config, call), { ...target, mayUpload });
    });
  }

  /** What asks whether this node is still primary; asked again right before anything of it can be seen. */
  #asPrimary({ store, identity }: SyncSession, { cid }: SpaceConfig, epoch?: number): () => Promise<void> {
    if (epoch === undefined) return () => Promise.resolve();
    return () => refuseDeposed(store, cid, { node: identity.node, epoch });
  }

  /** Every revocation made on this node, newest first. */
  async revocations(): Promise<Revocation[]> {
    return await this.#exclusively(() => Promise.resolve(this.#files.open().ledger.revocations.all()));
  }

  /** Makes the next `notice` look again although nothing was committed since: for when a notice could not be passed on. */
  forgetNotice(): void {
    this.#told = null;
  }

  /**
   * The state of the memory, for people. Never throws: what is wrong is in the answer.
   * @param spaces the spaces of this node; those that were synced or watched when absent
   */
  async status(spaces?: readonly SpaceConfig[]): Promise<MemoryStatus> {
    const path = this.#options.databasePath;
    const now = this.#now();
    const told = { path, checkedAt: now };
    try {
      return await this.#exclusively(() => {
        const { db, schema, ledger } = this.#files.open();
        const heldDeletes = heldDeletions(ledger);
        const syncs = this.#outcomes.describe(ledger, spaces);
        const database = { state: 'ready' as const, detail: null, checkedAt: now, heldDeletes };
        return Promise.resolve({
          ...told,
          ...memoryState({ now, database, syncs }),
          schema: schema.label,
          rows: countRows(db),
          bytes: statSync(path).size,
          heldDeletes,
          heldSegments: ledger.inbox.heldSegments(),
          syncs,
        });
      });
    } catch (error) {
      const state = error instanceof MembridgeError ? (STATES[error.code] ?? 'failing') : 'failing';
      const syncs = this.#outcomes.describe(null, spaces);
      return { ...told, state, detail: errorMessage(error), schema: null, rows: null, bytes: null, syncs };
    }
  }

  /**
   * Takes what the control plane says of the members; the next push or pull goes by it, also after a restart.
   * @throws Error when the control plane did not sign it
   */
  setMembership(membership: Membership): void {
    this.#members.take(membership);
  }

  /** Ends every connection; the engine opens them again when it is next used. */
  async close(): Promise<void> {
    await this.#turn.catch(() => undefined);
    this.#files.close();
    this.#options.store.close();
  }

  async #fetchAndApply(session: SyncSession, config: SpaceConfig, full: boolean, call: SyncCall) {
    const { cid } = config;
    const total: Applied = { operations: 0, inserted: 0, updated: 0, deleted: 0, waiting: 0, problems: [] };
    await settleRestore(session, () => this.#scan(session));
    const fetched = await withMerging(session, config, async (merging) => {
      const apply = async (): Promise<void> => {
        const applied = await applyStaged(session, config, call.progress, merging);
        total.operations += applied.operations;
        total.inserted += applied.inserted;
        total.updated += applied.updated;
        total.deleted += applied.deleted;
        total.waiting = applied.waiting;
        total.problems.push(...applied.problems);
      };
      await apply();
      const caught = full ? await catchUp(session, config, apply) : { parts: 0, problems: [] };
      const found = await fetchSegments(session, config, full, apply);
      if (found.segments > 0) await apply();
      found.segments += caught.parts;
      found.problems.push(...caught.problems);
      return found;
    });
    await retryImported({ session, config });
    const { ledger } = session;
    if (full) ledger.spaces.setLastFullList(ledger.spaces.get(cid).id, this.#now());
    ledger.setMeta('hlc', session.clock.last);
    return { applied: total, fetched };
  }

  #forLegacy(config: SpaceConfig, { signal, progress }: SyncCall): ImportContext {
    const session = this.#session({ signal, progress });
    const { ledgerPath, openLegacyStore: openStore = openLegacyStore } = this.#options;
    return { session, config, ledgerPath, openStore, progress };
  }

  /** Tells what this node has used. That it could not be told costs collection a delay, never a sync. */
  async #acknowledge(session: SyncSession, cid: string, asked: boolean): Promise<void> {
    try {
      await writeAck(session, cid, asked);
    } catch (error) {
      if (!(error instanceof MembridgeError) || !error.code.startsWith('store_')) throw error;
      this.#options.log?.(`What this node has used could not be told: ${error.message}`);
    }
  }

  /** Names new rows. To be called after a look for edits: another sync may bring back the text that a person took out. */
  async #scan(session: SyncSession): Promise<void> {
    await scanNewRows(session);
    settleSessionNames(session);
  }

  /** Looks through what was committed since the last look: for rows that changed or are gone, then for new ones. */
  async #look(session: SyncSession): Promise<void> {
    const stamp = this.#files.stamp(session);
    if (stamp === this.#looked) return;
    await auditChanged(session, session.signal);
    await this.#scan(session);
    this.#looked = stamp;
  }

  #session(call: SyncCall): SyncSession {
    const opened = this.#files.open();
    return {
      ...opened,
      path: this.#options.databasePath,
      store: this.#options.store,
      identity: this.#options.identity,
      membership: this.#members.current(opened.ledger),
      now: this.#now,
      signal: call.signal,
      orphanWaitMs: this.#options.orphanWaitMs ?? ORPHAN_WAIT_MS,
    };
  }

  /** One call at a time, as below, for a push or pull, whose outcome `status` tells. */
  async #tracked<T extends PushResult | PullResult>(
    work: 'push' | 'pull',
    config: SpaceConfig,
    { signal }: SyncCall,
    run: () => Promise<T>,
  ): Promise<T> {
    return await this.#exclusively(() => this.#outcomes.track(config, work, signal, run));
  }

  #explained(error: unknown): unknown {
    const { databasePath, ledgerPath, lockDirectory } = this.#options;
    return explainError(databasePath, error, { ledgerPath, lockDirectory });
  }

  /** One call at a time; errors of SQLite and of file calls get their meaning, and a file that failed is opened again next time. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.catch(() => undefined).then(work);
    this.#turn = mine;
    try {
      return await mine;
    } catch (error) {
      const meaning = this.#explained(error);
      if (meaning instanceof MembridgeError && REOPEN.test(meaning.code)) this.#closeFiles();
      throw meaning;
    }
  }

  #closeFiles(): void {
    try {
      this.#files.close();
    } catch (error) {
      this.#options.log?.(`A file could not be closed: ${errorMessage(error)}`);
    }
  }
}
