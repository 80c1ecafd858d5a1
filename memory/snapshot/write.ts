import { createHash } from 'node:crypto';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { canonicalJson } from '../format/canonical-json.ts';
import { listAll } from '../pull/fetch.ts';
import { manifestKey, snapshotPartKey, type SegmentName, type SnapshotName } from '../format/layout.ts';
import { publishCertificate, recipientsOf } from '../push/publish.ts';
import { FIRST_PREV_SHA, MAX_BYTES, MAX_OPERATIONS, sealSegment } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { snapshotLines } from './contents.ts';
import { partIncarnation, sealManifest, type ManifestBody } from './manifest.ts';

/** The contents of a written snapshot. */
export interface SnapshotResult {
  readonly id: string;
  readonly parts: number;
  readonly operations: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly bytes: number;
}

/**
 * Writes this node's memories of a space as a snapshot: parts first, the signed manifest last, so that an
 * interrupted one is ignored. The ledger must not change during the call, and must know everything in the
 * store.
 * @param mayFinish throws when this node must no longer write a snapshot; called right before the manifest
 * @throws MembridgeError conflict when this node lacks a memory, store_unavailable or store_refused
 */
export async function writeSnapshot(
  session: SyncSession,
  config: SpaceConfig,
  progress: (text: string) => void,
  mayFinish: () => Promise<void> = () => Promise.resolve(),
): Promise<SnapshotResult> {
  const { ledger, store, identity } = session;
  const { cid } = config;
  const space = ledger.spaces.get(cid);
  const at = session.now();
  const covers = ledger.coverage.listReaches(space.id);
  const digest = createHash('sha256')
    .update(canonicalJson({ at, node: identity.node, covers }))
    .digest('hex');
  const name: SnapshotName = {
    node: identity.node,
    id: `${at.toString(16).padStart(12, '0')}-${digest.slice(0, 16)}`,
  };
  await publishCertificate(session, cid);
  const recipients = await recipientsOf(session, config);
  const segments = listCoveredNames(session, space.id, covers, await listAll(session, cid));

  const parts: ManifestBody['parts'] = [];
  const counts: Record<string, number> = {};
  const all = createHash('sha256');
  let newest = 0;
  let prevSha = FIRST_PREV_SHA;
  let lines: string[] = [];
  let bytes = 0;
  const putPart = async (): Promise<void> => {
    if (lines.length === 0) return;
    const place = {
      space: cid,
      node: identity.node,
      epoch: partIncarnation(name),
      seq: parts.length + 1,
      prevSha,
      schema: session.schema.label,
    };
    const sealed = sealSegment(place, lines, identity.key, { recipients });
    parts.push({ sha256: sealed.sha, bytes: sealed.bytes.length, operations: lines.length });
    prevSha = sealed.sha;
    lines = [];
    bytes = 0;
    await store.put(snapshotPartKey(cid, name, parts.length), sealed.bytes);
    const told = parts.reduce((sum, part) => sum + part.operations, 0);
    progress(`wrote ${told} memories in ${parts.length} parts`);
  };

  for await (const page of snapshotLines(session, space, config)) {
    for (const { line, count, newest: written } of page) {
      if (lines.length >= MAX_OPERATIONS || bytes >= MAX_BYTES) await putPart();
      all.update(line).update('\n');
      lines.push(line);
      bytes += Buffer.byteLength(line) + 1;
      counts[count] = (counts[count] ?? 0) + 1;
      newest = Math.max(newest, written);
    }
  }
  await putPart();
  const body: ManifestBody = {
    format: 'membridge-snapshot/1',
    space: cid,
    node: identity.node,
    id: name.id,
    key_id: identity.key.keyId,
    at,
    newest,
    covers: covers.map((reach) => ({ ...reach, hashes: [...reach.hashes] })),
    segments,
    parts,
    counts,
    operations_sha256: all.digest('hex'),
  };
  await mayFinish();
  await store.put(manifestKey(cid, name), sealManifest(body, identity.key));
  return {
    id: name.id,
    parts: parts.length,
    operations: parts.reduce((sum, part) => sum + part.operations, 0),
    counts,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
  };
}

/** Returns stored segments that this node has used, up to the first gap. */
function listCoveredNames(
  { ledger }: SyncSession,
  space: number,
  covers: readonly { node: string; epoch: string; seq: number }[],
  listed: ReadonlyMap<string, readonly SegmentName[]>,
): Record<string, string[]> {
  const named: Record<string, string[]> = {};
  for (const [node, names] of listed) {
    const used = new Set(
      ledger.inbox.listUsedOf(space, node).map(({ epoch, seq, hash }) => `${epoch}/${seq}-${hash}`),
    );
    for (const { epoch, seq, hash } of names) {
      const reach = covers.find((each) => each.node === node && each.epoch === epoch);
      if (reach === undefined || seq > reach.seq || !used.has(`${epoch}/${seq}-${hash}`)) continue;
      (named[`${node}/${epoch}`] ??= []).push(`${seq}-${hash}`);
    }
  }
  return named;
}
