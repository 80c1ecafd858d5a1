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
import { REOPENING_CODES, STATE_BY_CODE } from './error-effects.ts';
import { fetchSegments } from './pull/fetch.ts';
import {
  approveDeletions,
  checkDeletions,
  countHeldDeletions,
  isAllowedByMembership,
  refuseWhileHeld,
} from './detect/guard.ts';
import type { Kind } from './format/kinds.ts';
import { lockDatabase } from './ledger/open.ts';
import { healDamaged } from './pull/heal.ts';
import { importSnapshots, retryImported, type LegacySource } from './legacy/import.ts';
import type { ImportContext, LegacyImport } from './legacy/merge-snapshot.ts';
import { refuseDeposed } from './space/refuse-deposed.ts';
import { publishSnapshot, type LegacyPublication, type LegacyTarget } from './legacy/publish.ts';
import { openLegacyStore } from './legacy/open-store.ts';
import type { Revocation } from './ledger/revocations.ts';
import { Members } from './space/members.ts';
import { withMerging } from './merge/batches.ts';
import { sendUnsent } from './push/push.ts';
import { OpenFiles } from './open-files.ts';
import { Outcomes } from './outcomes.ts';
import { queueRenamed } from './space/rename-projects.ts';
import { revoke, undoRevocation, type RevokeResult } from './provenance/revoke.ts';
import { scanNewRows } from './detect/scan.ts';
import { settleSessionNames } from './merge/session-names.ts';
import type { SyncSession } from './session.ts';
import {
  announceRestore,
  beginRestore,
  buildRestored,
  buildPath,
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

/** How often all segments are listed even if no head moved, because heads are only hints (10 minutes, in milliseconds). */
const FULL_LIST_EVERY_MS = 600_000;

/** How long a row waits for a session that has not arrived yet, in milliseconds. */
const ORPHAN_WAIT_MS = 600_000;

/** Rows per slice of the rolling audit: about a millisecond. */
const AUDIT_SLICE_ROWS = 100;

export interface SyncCall {
  readonly signal: AbortSignal;
  /** Receives a progress line for people now and then: counts only, never content. */
  readonly progress: (text: string) => void;
}

/**
 * Keeps one claude-mem database in step with its spaces. Calls run one at a time, and each may be repeated after any failure.
 * Depends on neither Temporal nor HTTP.
 */
export class MemoryEngine {
  readonly #options: EngineOptions;
  readonly #now: () => number;
  readonly #files: OpenFiles;
  readonly #outcomes: Outcomes;
  readonly #members: Members;
  #turn: Promise<unknown> = Promise.resolve();
  /** Database stamp at the last notice; null forces the next `notice` to look again. */
  #noticedStamp: string | null = null;
  /** Database stamp when new and changed rows were last looked for. */
  #scannedStamp: string | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#files = new OpenFiles(options, this.#now);
    this.#members = new Members(options.identity.controlPublicKey);
    this.#outcomes = new Outcomes({
      now: this.#now,
      explain: (error) => this.#explain(error),
      open: () => this.#files.open().ledger,
    });
  }

  /**
   * Sends what the space lacks. A node's first push pulls first, so that shared history is not sent twice. When peers'
   * segments cannot be merged, they stay staged, the result says why, and this node's own memories are sent.
   * @throws MembridgeError memory_*, ledger_failed, disk_full, store_*; safe to call again
   */
  async push(config: SpaceConfig, call: SyncCall): Promise<PushResult> {
    return await this.#runTracked('push', config, call, async () => {
      const began = performance.now();
      const session = this.#session(call);
      const { store, ledger } = session;
      store.takeTraffic();
      await settleRestore(session, () => this.#scan(session));
      await this.#look(session);
      if (isAllowedByMembership(session)) {
        approveDeletions(ledger);
        await auditAll(session, call.signal);
      }
      refuseWhileHeld(session, session.path);
      const first = ledger.spaces.configure(config).incarnation === null;
      const unmerged = await this.#outcomes.mergeApart(config, async () => {
        await adoptColumns(session);
        if (first) await this.#fetchAndApply(session, config, true, call);
        else
          await withMerging(session, config, (merging) =>
            applyStaged(session, config, call.progress, merging),
          );
      });
      queueRenamed(session, config);
      const pushed = await sendUnsent(session, config, call.progress);
      session.scanned.clear();
      const { incarnation: epoch, seq } = ledger.spaces.get(config.cid);
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
   * Fetches and merges what peers sent.
   * @param full list every segment instead of trusting the heads
   * @throws MembridgeError memory_*, ledger_failed, disk_full, store_*; safe to call again
   */
  async pull(config: SpaceConfig, full: boolean, call: SyncCall): Promise<PullResult> {
    return await this.#runTracked('pull', config, call, async () => {
      const began = performance.now();
      const session = this.#session(call);
      const { store, ledger } = session;
      store.takeTraffic();
      const space = ledger.spaces.configure(config);
      const isDue = full || hasPassed(space.lastFullList, FULL_LIST_EVERY_MS, this.#now());
      // A crash may have left rows unnamed. They need names before their operations arrive again.
      await this.#look(session);
      await adoptColumns(session);
      const { applied, fetched } = await this.#fetchAndApply(session, config, isDue, call);
      const damaged = ledger.inbox
        .listDamaged(space.id)
        .map(({ node, seq, problem }) => ({ node, problem: `segment ${seq} is damaged: ${problem}` }));
      if (isDue) await healDamaged(session, config);
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
          ...ledger.inbox.listGuarded(space.id).map(({ node, problem }) => ({ node, problem })),
        ],
        ...(uncovered === null ? {} : { uncovered }),
        traffic: store.takeTraffic(),
        ms: performance.now() - began,
      };
    });
  }

  /**
   * Checks whether claude-mem has written anything that a space lacks.
   * @returns the canonical ids of such spaces; none while nothing was committed since the last call
   * @throws MembridgeError memory_* as for a push
   */
  async notice(configs: readonly SpaceConfig[], signal: AbortSignal): Promise<string[]> {
    return await this.#runExclusively(async () => {
      const call = { signal, progress: () => undefined };
      const session = this.#session(call);
      const stamp = this.#files.stamp(session);
      if (stamp === this.#noticedStamp) return [];
      await this.#look(session);
      this.#noticedStamp = stamp;
      return configs
        .filter((config) => hasUnsent(session.ledger, session.ledger.spaces.configure(config)))
        .map((config) => config.cid);
    });
  }

  /**
   * Looks for changes and deletions of rows that were sent before.
   * @param options.deep compare every row instead of only the newest ones
   * @throws MembridgeError memory_* as for a push
   */
  async audit(call: SyncCall, options: { deep: boolean }): Promise<Audited> {
    return await this.#runExclusively(async () => {
      const session = this.#session(call);
      await this.#look(session);
      return options.deep ? await auditAll(session, call.signal) : auditRecent(session);
    });
  }

  /**
   * Continues the rolling audit for about `ms` milliseconds.
   * @returns whether it finished a round over the whole database
   */
  async auditFor(ms: number): Promise<boolean> {
    return await this.#runExclusively(() => {
      const session = this.#session({ signal: new AbortController().signal, progress: () => undefined });
      const { ended, found } = auditFor(session, { ms, limit: AUDIT_SLICE_ROWS });
      if (found.changed + found.deleted > 0) this.#noticedStamp = null;
      return Promise.resolve(ended);
    });
  }

  /**
   * Resolves deletions that were held because very many memories are gone (memory_guarded).
   * @param answer approve: send the deletions to the fleet; restore: fetch the memories back from the fleet
   */
  async resolveDeletes(answer: 'approve' | 'restore', call: SyncCall): Promise<{ deletes: number }> {
    return await this.#runExclusively(async () => {
      const session = this.#session(call);
      const { ledger } = session;
      checkDeletions(session);
      const deletes = countHeldDeletions(ledger);
      if (answer === 'restore') {
        // A new incarnation starts with an empty ledger, so the next pull brings in everything that the fleet has.
        ledger.reset();
        this.#scannedStamp = null;
      } else if (deletes > 0) {
        approveDeletions(ledger);
        await auditAll(session, call.signal);
      }
      this.#noticedStamp = null;
      return { deletes };
    });
  }

  /**
   * Writes this node's memories of a space as a snapshot, from which new nodes start and which lets old segments be collected.
   * Pulls first and looks at every row, so that the snapshot holds everything in the store.
   * @throws MembridgeError memory_guarded while deletions wait; conflict when this node lacks something; deposed; memory_*,
   * ledger_failed, store_*
   * @param epoch the leadership epoch in which this node acts as primary; absent when a person asked
   */
  async snapshot(config: SpaceConfig, call: SyncCall, epoch?: number): Promise<SnapshotResult> {
    return await this.#runExclusively(async () => {
      const session = this.#session(call);
      const mayFinish = this.#primaryCheck(session, config, epoch);
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
   * Removes this node's own objects that no node needs any longer. These are older snapshots, remnants of interrupted snapshots,
   * and segments that a snapshot covers and every live node has used.
   * @throws MembridgeError memory_*, ledger_failed, store_*; safe to call again
   */
  async collect(config: SpaceConfig, call: SyncCall, options: CollectOptions = {}): Promise<Collected> {
    return await this.#runExclusively(async () => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      return await collectOwn(session, config, options);
    });
  }

  /**
   * Builds a new database with a space as it was at a given time, and everything else as it is now. On request puts it in
   * place of claude-mem's database and keeps the old file beside it; the next push brings the fleet to that state.
   * @throws MembridgeError conflict while a program has the database open, when the file already exists, or when that time
   * needs collected segments; segment_invalid in place when something of that time cannot be read; memory_*, store_*
   */
  async restoreTo(options: RestoreOptions, call: SyncCall): Promise<RestoreResult> {
    return await this.#runExclusively(async () => {
      const { config, out } = options;
      const { ledgerPath, lockDirectory } = this.#options;
      const inPlace = out === 'in place';
      const session = this.#session(call);
      const real = realpathSync(session.path);
      const built = buildPath(inPlace ? real : out.path);
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
   * Finds the spaces that cover no claude-mem project of this database.
   * @returns by canonical id, the claude-mem projects that exist instead
   * @throws MembridgeError memory_* as for a push
   */
  async uncovered(configs: readonly SpaceConfig[]): Promise<Map<string, Uncovered>> {
    return await this.#runExclusively(() => {
      const files = this.#files.open();
      const found = configs.map((config) => [config.cid, findUncovered(files, config)] as const);
      return Promise.resolve(new Map(found.flatMap(([cid, each]) => (each === null ? [] : [[cid, each]]))));
    });
  }

  /** Returns where the memory in a claude-mem row came from. */
  async blame(kind: Kind, row: number): Promise<Blame[]> {
    return await this.#runExclusively(() => Promise.resolve(blame(this.#files.open().ledger, kind, row)));
  }

  /**
   * Takes back everything that a node wrote in a space since a time (memory/provenance/revoke.ts). Fetches new segments first.
   * @throws MembridgeError memory_*, store_*
   */
  async revoke(
    config: SpaceConfig,
    target: { node: string; since: number; dryRun: boolean },
    call: SyncCall,
  ): Promise<RevokeResult> {
    return await this.#runExclusively(async () => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      await this.#look(session);
      await this.#fetchAndApply(session, config, true, call);
      this.#noticedStamp = null;
      return revoke(session, config, target);
    });
  }

  /** Undoes a revocation that was made on this node. @throws MembridgeError not_found, conflict, memory_* */
  async undoRevocation(config: SpaceConfig, id: string, call: SyncCall): Promise<RevokeResult> {
    return await this.#runExclusively(() => {
      const session = this.#session(call);
      session.ledger.spaces.configure(config);
      this.#noticedStamp = null;
      return Promise.resolve(undoRevocation(session, config, id));
    });
  }

  /**
   * Merges the original's whole-file snapshot of a space like rows from a peer. The next push sends them to the fleet.
   * @throws MembridgeError not_found, segment_invalid, memory_*, store_*; safe to call again
   */
  async importLegacy(config: SpaceConfig, source: LegacySource, call: SyncCall): Promise<LegacyImport> {
    return await this.#runExclusively(() => importSnapshots(this.#forLegacy(config, call), source));
  }

  /**
   * Publishes a space as the original's whole-file snapshot, for machines that still run its scripts.
   * @param epoch the leadership epoch in which this node acts as primary; absent when a person asked
   * @throws MembridgeError conflict, deposed, segment_invalid, memory_*, store_*; safe to call again
   */
  async publishLegacy(
    config: SpaceConfig,
    target: LegacyTarget,
    call: SyncCall,
    epoch?: number,
  ): Promise<LegacyPublication> {
    return await this.#runExclusively(async () => {
      const mayUpload = this.#primaryCheck(this.#session(call), config, epoch);
      await mayUpload();
      return await publishSnapshot(this.#forLegacy(config, call), { ...target, mayUpload });
    });
  }

  /** Returns a check that this node is still primary. Writers repeat it right before their result becomes visible. */
  #primaryCheck({ store, identity }: SyncSession, { cid }: SpaceConfig, epoch?: number): () => Promise<void> {
    if (epoch === undefined) return () => Promise.resolve();
    return () => refuseDeposed(store, cid, { node: identity.node, epoch });
  }

  /** Returns every revocation made on this node, newest first. */
  async revocations(): Promise<Revocation[]> {
    return await this.#runExclusively(() => Promise.resolve(this.#files.open().ledger.revocations.all()));
  }

  /** Makes the next `notice` look again even without a new commit, because the last notice was not delivered. */
  forgetNotice(): void {
    this.#noticedStamp = null;
  }

  /**
   * Returns the state of the memory, for people. Never throws: a failure is part of the answer.
   * @param spaces the spaces of this node; when absent, those that were synced or watched
   */
  async status(spaces?: readonly SpaceConfig[]): Promise<MemoryStatus> {
    const path = this.#options.databasePath;
    const now = this.#now();
    const told = { path, checkedAt: now };
    try {
      return await this.#runExclusively(() => {
        const { db, schema, ledger } = this.#files.open();
        const heldDeletes = countHeldDeletions(ledger);
        const syncs = this.#outcomes.describe(ledger, spaces);
        const database = { state: 'ready' as const, detail: null, checkedAt: now, heldDeletes };
        return Promise.resolve({
          ...told,
          ...memoryState({ now, database, syncs }),
          schema: schema.label,
          rows: countRows(db),
          bytes: statSync(path).size,
          heldDeletes,
          heldSegments: ledger.inbox.countHeldSegments(),
          syncs,
        });
      });
    } catch (error) {
      const state = error instanceof MembridgeError ? (STATE_BY_CODE[error.code] ?? 'failing') : 'failing';
      const syncs = this.#outcomes.describe(null, spaces);
      return { ...told, state, detail: errorMessage(error), schema: null, rows: null, bytes: null, syncs };
    }
  }

  /**
   * Stores the control plane's list of members. The next push or pull uses it, also after a restart.
   * @throws Error when the control plane did not sign it
   */
  setMembership(membership: Membership): void {
    this.#members.take(membership);
  }

  /** Closes every connection; the next use opens them again. */
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

  /** Publishes this node's ack. A failure of the store delays collection but never fails a sync. */
  async #acknowledge(session: SyncSession, cid: string, asked: boolean): Promise<void> {
    try {
      await writeAck(session, cid, asked);
    } catch (error) {
      if (!(error instanceof MembridgeError) || !error.code.startsWith('store_')) throw error;
      this.#options.log?.(`The ack of this node could not be written: ${error.message}`);
    }
  }

  /** Names new rows. Runs after the look for edits: another sync may bring back text that a person removed. */
  async #scan(session: SyncSession): Promise<void> {
    await scanNewRows(session);
    settleSessionNames(session);
  }

  /** Examines what was committed since the last look: first changed and deleted rows, then new ones. */
  async #look(session: SyncSession): Promise<void> {
    const stamp = this.#files.stamp(session);
    if (stamp === this.#scannedStamp) return;
    await auditChanged(session, session.signal);
    await this.#scan(session);
    this.#scannedStamp = stamp;
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

  /** Runs a push or pull exclusively and records its outcome for `status`. */
  async #runTracked<T extends PushResult | PullResult>(
    work: 'push' | 'pull',
    config: SpaceConfig,
    { signal }: SyncCall,
    run: () => Promise<T>,
  ): Promise<T> {
    return await this.#runExclusively(() => this.#outcomes.track(config, work, signal, run));
  }

  #explain(error: unknown): unknown {
    const { databasePath, ledgerPath, lockDirectory } = this.#options;
    return explainError(databasePath, error, { ledgerPath, lockDirectory });
  }

  /** Runs one call at a time. Translates SQLite and file errors, and closes a failed file so that the next call reopens it. */
  async #runExclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.catch(() => undefined).then(work);
    this.#turn = mine;
    try {
      return await mine;
    } catch (error) {
      const meaning = this.#explain(error);
      if (meaning instanceof MembridgeError && REOPENING_CODES.test(meaning.code)) this.#closeFiles();
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
