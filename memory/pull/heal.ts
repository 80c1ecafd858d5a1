import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { readAcks, type Ack } from './acks.ts';
import { parseSegmentName, segmentKey, segmentName, type SegmentName } from '../format/layout.ts';
import { WHOLE } from '../ledger/dirty.ts';
import { isKnownIn } from '../ledger/entities.ts';
import type { LedgerSpace } from '../ledger/spaces.ts';
import { isSignedAs, openSegment, readOperations } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { publicKeyOf } from '../format/signing.ts';
import { trustIn } from '../space/trust.ts';

/** A node that wrote no ack for this long is away: others heal its segments (two days, in milliseconds). */
const AWAY_MS = 2 * 24 * 3_600_000;

/** What this node has answered: a damaged segment and the node that could not use it. */
const Answered = z.array(z.string());
const answeredName = (cid: string): string => `healed:${cid}`;

/** Damaged segments whose memories the next push tells of again; it says so in its header. */
const HealsNext = z.array(z.string());
const healsName = (cid: string): string => `heals:${cid}`;

/**
 * Looks whether other nodes could not use a segment, because it rotted in the store or was sealed before they joined, and
 * has its memories be sent again by the next push: by the node that wrote it, or while that one is away by the first
 * other that has used it. What nodes say that are not trusted counts for nothing.
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function healDamaged(session: SyncSession, config: SpaceConfig): Promise<void> {
  const { ledger, identity } = session;
  const { cid } = config;
  const space = ledger.spaces.get(cid);
  const acks = new Map(
    [...(await readAcks(session, cid))].filter(([node]) => trustIn(config, node) === 'accept'),
  );
  const answered = new Set(Answered.parse(JSON.parse(String(ledger.meta(answeredName(cid)) ?? '[]'))));
  for (const ack of acks.values()) {
    if (ack.node === identity.node) continue;
    for (const damaged of ack.damaged) {
      const name = parseSegmentName(damaged);
      const report = `${damaged} ${ack.node}`;
      // A segment that this node never heard of is no reason to send anything.
      if (name === null || answered.has(report)) continue;
      if (!ledger.inbox.hasPlace(space.id, name) && !(await isOwnFormer(session, cid, name))) continue;
      if (healerOf(name, acks, identity.node, session.now()) !== identity.node) continue;
      const held = await contentsOf(session, space, name, ack);
      if (held.keys.length === 0) continue;
      const heals = new Set([...healsNext(session, cid), damaged, ...held.heals]);
      ledger.atomically(() => {
        for (const key of held.keys) ledger.dirty.mark(space.id, key, WHOLE);
        answered.add(report);
        ledger.setMeta(answeredName(cid), JSON.stringify([...answered]));
        ledger.setMeta(healsName(cid), JSON.stringify([...heals]));
      });
    }
  }
}

/** Whether this node wrote a segment with an earlier ledger, and the store has lost what came before that segment. */
async function isOwnFormer(
  { identity, store }: SyncSession,
  cid: string,
  name: SegmentName,
): Promise<boolean> {
  if (name.node !== identity.node) return false;
  const bytes = await store.get(segmentKey(cid, name));
  return bytes !== null && isSignedAs(name, bytes, publicKeyOf(identity.certificate.public_key));
}

/** Segments that the next push heals. */
export function healsNext({ ledger }: Pick<SyncSession, 'ledger'>, cid: string): string[] {
  return HealsNext.parse(JSON.parse(String(ledger.meta(healsName(cid)) ?? '[]')));
}

/** Notes that a segment was sealed which says so: they are healed for this node as well. */
export function healsTold({ ledger }: Pick<SyncSession, 'ledger'>, cid: string): void {
  const { id } = ledger.spaces.get(cid);
  for (const name of healsNext({ ledger }, cid)) ledger.inbox.markHealed(id, parseSegmentName(name));
  ledger.setMeta(healsName(cid), '[]');
}

/** Who sends again what a segment held: its writer, or the first of the others that has used it. */
function healerOf(
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
  /** Segments that it healed in turn: who could not use it could not use them either, and was answered about them before. */
  readonly heals: readonly string[];
}

/** @param ack the report of the node that could not use the segment */
async function contentsOf(
  session: SyncSession,
  space: LedgerSpace,
  name: SegmentName,
  ack: Ack,
): Promise<Contents> {
  const { ledger, identity } = session;
  const read = await readContents(session, space.cid, name);
  const { keys, heals } = read ?? {
    // All memories of its node are sent again, so that every damaged segment of that node is healed.
    keys: ledger.entities.keysToldBy(name.node, space.id, name.node === identity.node),
    heals: ack.damaged.filter((each) => parseSegmentName(each)?.node === name.node),
  };
  const known = keys.filter((key) => {
    const entity = ledger.entities.byKey(key);
    return entity !== null && isKnownIn(entity, space.id);
  });
  return { keys: known, heals };
}

/** What is in a segment that this node can read, or null when it cannot. */
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
