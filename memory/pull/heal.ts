import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { readAcks, type Ack } from './acks.ts';
import { parseSegmentName, segmentKey, segmentName, type SegmentName } from '../format/layout.ts';
import { WHOLE_PART } from '../ledger/dirty.ts';
import { isKnownIn } from '../ledger/entities.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { isSignedAs, openSegment, readOperations } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { parsePublicKey } from '../format/signing.ts';
import { trustOf } from '../space/trust.ts';

/**
 * A node without an ack for this long counts as away, and others heal its segments (two days, in
 * milliseconds).
 */
const AWAY_MS = 2 * 24 * 3_600_000;

/** This node's answers: pairs of a damaged segment and the node that reported it. */
const Answered = z.array(z.string());
const answeredEntry = (cid: string): string => `healed:${cid}`;

/** Damaged segments whose memories the next push sends again; its header names them. */
const HealsNext = z.array(z.string());
const healsEntry = (cid: string): string => `heals:${cid}`;

/**
 * Finds segments that other nodes reported as unusable, because they rotted in the store or were sealed
 * before those nodes joined. Queues their memories for the next push. The writer heals its own segments;
 * while it is away, the first other node that used the segment does. Reports of untrusted nodes are ignored.
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function healDamaged(session: SyncSession, config: SpaceConfig): Promise<void> {
  const { ledger, identity } = session;
  const { cid } = config;
  const space = ledger.spaces.get(cid);
  const acks = new Map(
    [...(await readAcks(session, cid))].filter(([node]) => trustOf(config, node) === 'accept'),
  );
  const answered = new Set(Answered.parse(JSON.parse(String(ledger.meta(answeredEntry(cid)) ?? '[]'))));
  for (const ack of acks.values()) {
    if (ack.node === identity.node) continue;
    for (const damaged of ack.damaged) {
      const name = parseSegmentName(damaged);
      const report = `${damaged} ${ack.node}`;
      // A report about a segment that this node has never seen is ignored.
      if (name === null || answered.has(report)) continue;
      if (!ledger.inbox.hasPlace(space.id, name) && !(await isOwnFormer(session, cid, name))) continue;
      if (chooseHealer(name, acks, identity.node, session.now()) !== identity.node) continue;
      const held = await findContents(session, space, name, ack);
      if (held.keys.length === 0) continue;
      const heals = new Set([...listHealsDue(session, cid), damaged, ...held.heals]);
      ledger.atomically(() => {
        for (const key of held.keys) ledger.dirty.mark(space.id, key, WHOLE_PART);
        answered.add(report);
        ledger.setMeta(answeredEntry(cid), JSON.stringify([...answered]));
        ledger.setMeta(healsEntry(cid), JSON.stringify([...heals]));
      });
    }
  }
}

/**
 * Returns whether this node wrote the segment with an earlier ledger, and the store lost its predecessors.
 */
async function isOwnFormer(
  { identity, store }: SyncSession,
  cid: string,
  name: SegmentName,
): Promise<boolean> {
  if (name.node !== identity.node) return false;
  const bytes = await store.get(segmentKey(cid, name));
  return bytes !== null && isSignedAs(name, bytes, parsePublicKey(identity.certificate.public_key));
}

/** Returns the segments that the next push heals. */
export function listHealsDue({ ledger }: Pick<SyncSession, 'ledger'>, cid: string): string[] {
  return HealsNext.parse(JSON.parse(String(ledger.meta(healsEntry(cid)) ?? '[]')));
}

/** Records that a segment was sealed that names the healed ones: they are healed for this node as well. */
export function clearHeals({ ledger }: Pick<SyncSession, 'ledger'>, cid: string): void {
  const { id } = ledger.spaces.get(cid);
  for (const name of listHealsDue({ ledger }, cid)) ledger.inbox.markHealed(id, parseSegmentName(name));
  ledger.setMeta(healsEntry(cid), '[]');
}

/**
 * Returns the node that sends a segment's memories again: the writer, or the first other node that has used
 * it.
 */
function chooseHealer(
  name: SegmentName,
  acks: ReadonlyMap<string, Ack>,
  self: string,
  now: number,
): string | null {
  const isHere = (node: string): boolean => {
    const ack = acks.get(node);
    return node === self || (ack !== undefined && now - ack.at <= AWAY_MS);
  };
  if (isHere(name.node)) return name.node;
  const damaged = segmentName(name);
  const others = [...acks.values()]
    .filter((ack) => isHere(ack.node) && !ack.damaged.includes(damaged))
    .filter((ack) => (ack.applied[name.node]?.[name.epoch] ?? 0) >= name.seq)
    .map((ack) => ack.node);
  return others.sort()[0] ?? null;
}

/** The memories of a segment that have to be sent again, as far as this node has them. */
interface Contents {
  readonly keys: Buffer[];
  /**
   * Segments that this one healed: a node that could not use it could not use those either, and was answered
   * about them before.
   */
  readonly heals: readonly string[];
}

/** @param ack the report of the node that could not use the segment */
async function findContents(
  session: SyncSession,
  space: LedgerSpace,
  name: SegmentName,
  ack: Ack,
): Promise<Contents> {
  const { ledger, identity } = session;
  const read = await readContents(session, space.cid, name);
  const { keys, heals } = read ?? {
    // The segment cannot be read, so all memories of its node are sent again, which heals every damaged
    // segment of that node.
    keys: ledger.entities.keysSentBy(name.node, space.id, name.node === identity.node),
    heals: ack.damaged.filter((each) => parseSegmentName(each)?.node === name.node),
  };
  const known = keys.filter((key) => {
    const entity = ledger.entities.byKey(key);
    return entity !== null && isKnownIn(entity, space.id);
  });
  return { keys: known, heals };
}

/** Returns the contents of a segment, or null when this node cannot read it. */
async function readContents(session: SyncSession, cid: string, name: SegmentName): Promise<Contents | null> {
  const bytes = await session.store.get(segmentKey(cid, name));
  if (bytes === null) return null;
  try {
    openSegment(bytes, name);
    const { header, operations } = readOperations(bytes, session.identity.sealingKeys);
    return { keys: operations.map(({ key }) => key), heals: header.heals ?? [] };
  } catch (error) {
    if (error instanceof MembridgeError) throw error;
    return null;
  }
}
