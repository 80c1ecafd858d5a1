import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { AuditLog, AuditProof, ProveAudit } from '../../contract/audit.ts';
import { errorMessage } from '../../contract/errors.ts';
import {
  canAlterAudit,
  extendAuditChain,
  readAuditChain,
  type ChainLink,
} from '../../db/queries/audit-chain.ts';
import { publicKeyText } from '../nodes/certificates.ts';
import type { Deps } from '../deps.ts';

/** How often new entries are chained, in milliseconds. */
const SEAL_MS = 5_000;
const BATCH_ENTRIES = 1_000;
/** The hash that the first entry follows. */
export const CHAIN_START = '0'.repeat(64);

type ChainDeps = Pick<Deps, 'config' | 'db'>;

/**
 * Returns the chain's hash at an entry: SHA-256 in hex. It covers the previous hash, a line feed, and the entry's
 * nine fields as a JSON array in the order below. People who check an export themselves find it in docs/security.md.
 */
export function chainHash(previous: string, entry: AuditLog): string {
  const { id, timestamp, action, entity_type, entity_id, actor, detail, cause, correlation_id } = entry;
  const fields = [id, timestamp, action, entity_type, entity_id, actor, detail, cause, correlation_id];
  return createHash('sha256')
    .update(`${previous}\n${JSON.stringify(fields)}`)
    .digest('hex');
}

/** Returns the text that is signed at a link. */
const signedText = ({ position, hash }: Pick<ChainLink, 'position' | 'hash'>): Buffer =>
  Buffer.from(`membridge-audit/1\n${position}\n${hash}`);

/**
 * Adds every new entry to the chain. The control plane signs the end of each batch with its signing key. So nobody
 * can make another chain with access to the database alone.
 * @param options.all searches the whole log for new entries; otherwise only its newest part
 */
export async function sealAudit({ config, db }: ChainDeps, { all }: { all: boolean }): Promise<void> {
  const link = (last: ChainLink | null, entries: readonly AuditLog[]): ChainLink[] => {
    let { position, hash } = last ?? { position: 0, hash: CHAIN_START };
    return entries.map((entry, index) => {
      position += 1;
      hash = chainHash(hash, entry);
      const isEnd = index === entries.length - 1;
      const signature = isEnd ? sign(null, signedText({ position, hash }), config.signingKey) : null;
      return { position, audit_id: Number(entry.id), hash, signature: signature?.toString('base64') ?? null };
    });
  };
  while ((await extendAuditChain(db, { limit: BATCH_ENTRIES, all, link })) === BATCH_ENTRIES);
}

/** Chains new entries continually. @returns a function that stops it */
export function watchAudit(deps: Deps): () => void {
  let isBusy = false;
  const seal = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    try {
      await sealAudit(deps, { all: false });
    } catch (error) {
      deps.logger.warn({ reason: errorMessage(error) }, 'the audit log could not be chained');
    } finally {
      isBusy = false;
    }
  };
  const timer = setInterval(() => void seal(), SEAL_MS);
  return () => clearInterval(timer);
}

/**
 * Checks the whole chain against the log: no entry was changed or removed since it was chained, and each signature is
 * ours.
 * @param known an earlier end of the chain, which must still be in it; so a removal of the newest entries is noticed
 */
export async function proveAudit(deps: ChainDeps, known: ProveAudit): Promise<AuditProof> {
  await sealAudit(deps, { all: true });
  const walk = await walkChain(deps, createPublicKey(deps.config.signingKey), known);
  return {
    intact: walk.problem === null,
    problem: walk.problem,
    entries: walk.position,
    hash: walk.hash,
    signature: walk.signature,
    public_key: publicKeyText(deps.config.signingKey),
    role_can_alter: await canAlterAudit(deps.db),
  };
}

interface Walk {
  readonly position: number;
  readonly hash: string;
  readonly signature: string | null;
  readonly problem: string | null;
}

async function walkChain({ db }: ChainDeps, publicKey: KeyObject, known: ProveAudit): Promise<Walk> {
  let at: Omit<Walk, 'problem'> = { position: 0, hash: CHAIN_START, signature: null };
  const broken = (problem: string): Walk => ({ ...at, problem });
  for (;;) {
    const batch = await readAuditChain(db, { after: at.position, limit: BATCH_ENTRIES });
    for (const { link, entry } of batch) {
      const place = `entry ${link.audit_id} at position ${link.position}`;
      if (link.position !== at.position + 1) return broken(`Position ${at.position + 1} is missing.`);
      if (entry === null) return broken(`The log no longer has ${place}.`);
      if (chainHash(at.hash, entry) !== link.hash) return broken(`Somebody changed ${place}.`);
      if (!isSignedBy(publicKey, link)) return broken(`The signature at ${place} is not this server's.`);
      if (known.position === link.position && known.hash !== undefined && known.hash !== link.hash) {
        return broken(`Position ${link.position} had another hash than the one you named.`);
      }
      at = { position: link.position, hash: link.hash, signature: link.signature };
    }
    if (batch.length < BATCH_ENTRIES) break;
  }
  if (at.position > 0 && at.signature === null) return broken('The last entry has no signature.');
  if (known.position !== undefined && known.position > at.position) {
    return broken(`The chain ends at ${at.position}, before the position ${known.position} that you named.`);
  }
  return { ...at, problem: null };
}

function isSignedBy(publicKey: KeyObject, link: ChainLink): boolean {
  if (link.signature === null) return true;
  return verify(null, signedText(link), publicKey, Buffer.from(link.signature, 'base64'));
}
