import type { SpaceConfig, Withheld } from '../contract/memory.ts';
import { syncToDisk } from './claude-mem/open.ts';
import { isOfProject } from './claude-mem/project-names.ts';
import { collectChunk } from './emit.ts';
import { healsNext, healsTold } from './heal.ts';
import { EXCLUDED_PROJECT } from './kinds.ts';
import type { Exclusion } from './names.ts';
import { nameHash, segmentKey, type SegmentName } from './layout.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LedgerSpace } from './ledger/spaces.ts';
import { publishCertificate, recipientsOf, writeHead } from './publish.ts';
import type { SealingPublicKey } from './sealing.ts';
import { isSealed, sealSegment } from './segment.ts';
import type { SyncSession } from './session.ts';

/** What a push moved. */
export interface Pushed {
  /** Operations that the head now tells of: those of an earlier try that failed before the head are counted here. */
  rows: number;
  segments: number;
  /** Memories that were considered and not sent because a project is excluded, by project and reason. */
  readonly withheld: Map<string, Withheld>;
}

/**
 * Sends what the space has not got: seal the exact bytes into the ledger, put them, then the head, then strike them off.
 * A crash at any point sends the same bytes under the same name again.
 * @throws MembridgeError store_unavailable or store_refused; nothing is lost, the next push goes on
 */
export async function sendUnsent(
  session: SyncSession,
  config: SpaceConfig,
  progress: (text: string) => void,
): Promise<Pushed> {
  const { cid } = config;
  const { ledger, identity, now } = session;
  const pushed: Pushed = { rows: 0, segments: 0, withheld: new Map() };
  if (ledger.spaces.get(cid).epoch === null) ledger.spaces.beginEpoch(cid, now());
  await publishCertificate(session, cid);
  let recipients: SealingPublicKey[] | null = null;
  for (;;) {
    if (config.encrypted === true) dropPlain(session, ledger.spaces.get(cid));
    await flushOutbox(session, ledger.spaces.get(cid), pushed, progress);
    session.signal.throwIfAborted();
    const space = ledger.spaces.get(cid);
    const chunk = collectChunk({ ...session, node: identity.node }, space, config);
    for (const exclusion of chunk.withheld) countWithheld(pushed.withheld, exclusion);
    if (chunk.lines.length === 0) {
      ledger.atomically(chunk.note);
      if (!chunk.more) break;
      continue;
    }
    const epoch = space.epoch;
    if (epoch === null) throw new Error(`space ${cid} lost its epoch in mid-push`);
    const seq = space.seq + 1;
    const place = {
      space: cid,
      node: identity.node,
      epoch,
      seq,
      prevSha: space.chain,
      schema: session.schema.label,
    };
    recipients ??= await recipientsOf(session, config);
    // The last segment of a push says what was healed by it: readers know then that they miss nothing.
    const heals = chunk.more ? [] : healsNext(session, cid);
    const sealed = sealSegment(place, chunk.lines, identity.key, { recipients, heals });
    // What the fleet is told of must outlive a power cut here, too: rows that came back as they were would count as changed.
    syncToDisk(session.path);
    ledger.durably(() => {
      ledger.outbox.add(space.id, {
        epoch,
        seq,
        sha: sealed.sha,
        operations: chunk.lines.length,
        bytes: sealed.bytes,
      });
      ledger.spaces.advance(space.id, seq, sealed.sha);
      chunk.note();
      if (heals.length > 0) healsTold(session, cid);
    });
  }
  if (await writeHead(session, ledger.spaces.get(cid))) {
    ledger.atomically(() => {
      pushed.rows = untold(ledger, cid);
      ledger.setMeta(untoldName(cid), 0);
    });
  }
  return pushed;
}

/**
 * Takes back a segment that was made ready before the space was encrypted: stored now, it would show its memories to whoever reads the
 * bucket. The store may hold it all the same, so a new incarnation sends everything again.
 */
function dropPlain({ ledger, now }: SyncSession, { id, cid }: LedgerSpace): void {
  const entry = ledger.outbox.next(id);
  if (entry === null || isSealed(entry.bytes)) return;
  ledger.atomically(() => {
    ledger.forgetSpace(id);
    ledger.spaces.beginEpoch(cid, now());
  });
}

async function flushOutbox(
  session: SyncSession,
  space: LedgerSpace,
  pushed: Pushed,
  progress: (text: string) => void,
): Promise<void> {
  const { ledger, store, identity, now } = session;
  for (let entry = ledger.outbox.next(space.id); entry !== null; entry = ledger.outbox.next(space.id)) {
    session.signal.throwIfAborted();
    const { epoch, seq, sha, bytes, operations } = entry;
    const name: SegmentName = { node: identity.node, epoch, seq, hash: nameHash(sha) };
    await store.put(segmentKey(space.cid, name), bytes);
    ledger.atomically(() => {
      ledger.inbox.recordOwn(space.id, name, now());
      ledger.outbox.remove(space.id, epoch, seq);
      ledger.setMeta(untoldName(space.cid), untold(ledger, space.cid) + operations);
      // An empty ETag: the head is behind and must be written, now or after a crash.
      ledger.spaces.setHeadEtag(space.id, '');
    });
    pushed.rows += operations;
    pushed.segments += 1;
    progress(`sent ${pushed.rows} rows`);
  }
}

/** What a claude-mem project's observer sessions are is nobody's news. */
function countWithheld(withheld: Map<string, Withheld>, { project, reason }: Exclusion): void {
  if (isOfProject(project, EXCLUDED_PROJECT)) return;
  const name = JSON.stringify([project, reason]);
  const rows = (withheld.get(name)?.rows ?? 0) + 1;
  withheld.set(name, { project, reason, rows });
}

/** Operations in the store that no head of ours has told of yet. */
const untold = (ledger: Ledger, cid: string): number => Number(ledger.meta(untoldName(cid)) ?? 0);
const untoldName = (cid: string): string => `untold:${cid}`;
