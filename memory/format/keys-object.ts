import { z } from 'zod';
import { NodeCertificate } from '../../contract/nodes/nodes.ts';

/** A node's sealing key, signed with the node's certified key. */
const SealingKeyLine = z.strictObject({
  /** X25519, SPKI DER in base64. */
  public_key: z.string(),
  /** The Ed25519 key that made the signature. */
  signed_by: z.string(),
  signature: z.string(),
});

/**
 * `keys/<node>.json`: every certificate that a node ever had, so that old segments stay verifiable, and the
 * key that others encrypt segments with for this node.
 */
const KeysObject = z.strictObject({
  format: z.literal('membridge-keys/1'),
  certificates: z.array(NodeCertificate),
  sealing: SealingKeyLine.optional(),
});
export type KeysObject = z.infer<typeof KeysObject>;

/** Parses such an object; returns null when it is malformed. */
export function parseKeys(bytes: Buffer): KeysObject | null {
  try {
    return KeysObject.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}
