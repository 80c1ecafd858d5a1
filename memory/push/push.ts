import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SpaceConfig, Withheld } from '../../contract/memory/memory.ts';
import { syncToDisk } from '../claude-mem/open.ts';
import { isOfProject } from '../claude-mem/project-names.ts';
import { collectChunk } from './emit.ts';
import { listHealsDue, clearHeals } from '../pull/heal.ts';
import { EXCLUDED_PROJECT } from '../format/kinds.ts';
import type { Exclusion } from '../space/space-projects.ts';
import { nameHash, segmentKey, type SegmentName } from '../format/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { publishCertificate, recipientsOf, writeHead } from './publish.ts';
import type { SealingPublicKey } from '../format/sealing.ts';
import { isSealed, sealSegment } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';

/** The result of a push. */
export interface Pushed {
  /** Operations announced by the new head, including those of an earlier try that failed before the head. */
  rows: number;
  segments: number;
  /** Memories that were considered but not sent because their project is excluded, by project and reason. */
  readonly withheld: Map<string, Withheld>;
}

/**
 * Sends what the space lacks. Files the exact bytes of a segment in the ledger's outbox, puts them into the
 * store, then the head, then removes them from the outbox. After a crash the same bytes are sent again under
 * the same name.
 * @throws MembridgeError store_unavailable or store_refused; nothing is lost, the next push continues
 */
export async function sendUnsent(
  session: SyncSession,
  config: SpaceConfig,
  progress: (text: string) => void,
): Promise<Pushed> {
  const { cid } = config;
  const { ledger, now } = session;
  const pushed: Pushed = { rows: 0, segments: 0, withheld: new Map() };
  if (ledger.spaces.get(cid).incarnation === null) ledger.spaces.beginIncarnation(cid, now());
  await publishCertificate(session, cid);
  const flush = (): Promise<void> => flushOutbox(session, config, pushed, progress);
  // Segments left by an earlier try go first. After that, one segment is uploaded while the next one is made.
  await flush();
  const recipients = rememberRecipients(session, config);
  let sending = Promise.resolve();
  try {
    for (let more = true; more;) {
      session.signal.throwIfAborted();
      const made = await makeSegment(session, config, recipients);
      for (const exclusion of made.withheld) countWithheld(pushed.withheld, exclusion);
      more = made.more || made.isFiled;
      if (!made.isFiled) continue;
      await sending;
      sending = flush();
      // The promise is awaited in the next iteration or below. Until then its failure must not count as
      // unhandled.
      sending.catch(() => undefined);
      await nextTurn();
    }
  } catch (error) {
    // A push that has ended sends nothing further.
    await sending.catch(() => undefined);
    throw error;
  }
  await sending;
  if (await writeHead(session, ledger.spaces.get(cid))) {
    ledger.atomically(() => {
      pushed.rows = countUnreported(ledger, cid);
      ledger.setMeta(unreportedEntry(cid), 0);
    });
  }
  return pushed;
}

/** Looks up the recipients when the first segment is made; most pushes make none. */
function rememberRecipients(
  session: SyncSession,
  config: SpaceConfig,
): () => Promise<SealingPublicKey[] | null> {
  let known: Promise<SealingPublicKey[] | null> | null = null;
  return () => (known ??= recipientsOf(session, config));
}

/**
 * Seals the next operations that the space lacks, and files them in the outbox.
 * @returns whether there were any, and whether there may be more
 */
async function makeSegment(
  session: SyncSession,
  config: SpaceConfig,
  recipients: () => Promise<SealingPublicKey[] | null>,
): Promise<{ isFiled: boolean; more: boolean; withheld: readonly Exclusion[] }> {
  const { cid } = config;
  const { ledger, identity } = session;
  const space = ledger.spaces.get(cid);
  const { lines, note, more, withheld } = collectChunk({ ...session, node: identity.node }, space, config);
  if (lines.length === 0) {
    ledger.atomically(note);
    return { isFiled: false, more, withheld };
  }
  const epoch = space.incarnation;
  if (epoch === null) throw new Error(`space ${cid} lost its incarnation during a push`);
  const seq = space.seq + 1;
  const place = {
    space: cid,
    node: identity.node,
    epoch,
    seq,
    prevSha: space.chain,
    schema: session.schema.label,
  };
  // Only the last segment of a push names what the push healed, so readers then know that they miss nothing.
  const heals = more ? [] : listHealsDue(session, cid);
  const sealed = sealSegment(place, lines, identity.key, { recipients: await recipients(), heals });
  // Sent rows must survive a power cut here as well: rows that reverted would count as changed.
  syncToDisk(session.path);
  ledger.durably(() => {
    ledger.outbox.add(space.id, {
      epoch,
      seq,
      sha: sealed.sha,
      operations: lines.length,
      bytes: sealed.bytes,
    });
    ledger.spaces.advance(space.id, seq, sealed.sha);
    note();
    if (heals.length > 0) clearHeals(session, cid);
  });
  return { isFiled: true, more, withheld };
}

/**
 * Drops unsent segments that were sealed before the space was encrypted: storing them now would show their
 * memories to every reader of the bucket. The store may already hold them, so a new incarnation sends
 * everything again.
 */
function dropPlain({ ledger, now }: SyncSession, { id, cid }: LedgerSpace): void {
  ledger.atomically(() => {
    ledger.forgetSpace(id);
    ledger.spaces.beginIncarnation(cid, now());
  });
}

async function flushOutbox(
  session: SyncSession,
  config: SpaceConfig,
  pushed: Pushed,
  progress: (text: string) => void,
): Promise<void> {
  const { ledger, store, identity, now } = session;
  const space = ledger.spaces.get(config.cid);
  for (let entry = ledger.outbox.next(space.id); entry !== null; entry = ledger.outbox.next(space.id)) {
    session.signal.throwIfAborted();
    if (config.encrypted === true && !isSealed(entry.bytes)) {
      dropPlain(session, space);
      return;
    }
    const { epoch, seq, sha, bytes, operations } = entry;
    const name: SegmentName = { node: identity.node, epoch, seq, hash: nameHash(sha) };
    await store.put(segmentKey(space.cid, name), bytes);
    ledger.atomically(() => {
      ledger.inbox.recordOwn(space.id, name, now());
      ledger.outbox.remove(space.id, epoch, seq);
      ledger.setMeta(unreportedEntry(space.cid), countUnreported(ledger, space.cid) + operations);
      // An empty ETag marks the head as outdated: it must be written, now or after a crash.
      ledger.spaces.setHeadEtag(space.id, '');
    });
    pushed.rows += operations;
    pushed.segments += 1;
    progress(`sent ${pushed.rows} rows`);
  }
}

/** Counts a withheld memory. Leaves out claude-mem's observer sessions, which interest nobody. */
function countWithheld(withheld: Map<string, Withheld>, { project, reason }: Exclusion): void {
  if (isOfProject(project, EXCLUDED_PROJECT)) return;
  const name = JSON.stringify([project, reason]);
  const rows = (withheld.get(name)?.rows ?? 0) + 1;
  withheld.set(name, { project, reason, rows });
}

/** Returns the number of operations in the store that no head of this node announces yet. */
const countUnreported = (ledger: Ledger, cid: string): number =>
  Number(ledger.meta(unreportedEntry(cid)) ?? 0);
const unreportedEntry = (cid: string): string => `untold:${cid}`;
