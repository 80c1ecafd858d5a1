import { createPublicKey } from 'node:crypto';
import { MembridgeError } from '../../contract/errors.ts';
import { findNodePublicKey } from '../../db/queries/find-node-by-key.ts';
import { parseKeys } from '../../memory/format/keys-object.ts';
import { isValidCertificate } from '../../memory/format/signing.ts';
import type { Deps } from '../deps.ts';

/**
 * Checks a node's own `keys/<node>.json` before it is stored, because peers trust its content. It may hold only
 * certificates of this node, among them the one of its present key.
 * @throws MembridgeError bad_request, database_unavailable
 */
export async function requireOwnKeys(
  node: string,
  bytes: Buffer,
  { db, config }: Pick<Deps, 'db' | 'config'>,
): Promise<void> {
  const refuse = (problem: string): never => {
    throw new MembridgeError('bad_request', `The keys of ${node} were not stored: ${problem}.`);
  };
  const object = parseKeys(bytes) ?? refuse('they are not an object of keys');
  const foreign = object.certificates.find((certificate) => certificate.node !== node);
  if (foreign !== undefined) refuse(`they hold a certificate of ${foreign.node}`);
  const present = await findNodePublicKey(db, { node });
  const control = createPublicKey(config.signingKey);
  const isCertified = object.certificates.some(
    (certificate) => certificate.public_key === present && isValidCertificate(certificate, control),
  );
  if (!isCertified) refuse('the certificate of its present key is not among them');
}
