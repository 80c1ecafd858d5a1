import { z } from 'zod';
import { NodeCertificate } from '../../contract/nodes/nodes.ts';

/** A node's sealing key, signed with the node's certified key. */
const SealingKeyLine = z.strictObject({
  /** X25519, SPKI DER in base64. */
  public_key: z.string(),
  /** The Ed25519 key that signed. */
  signed_by: z.string(),
  signature: z.string(),
});

/**
 * `keys/<node>.json`: every certificate a node ever had, so that old segments stay verifiable, and the key that segments
 * are encrypted for it with.
 */
const KeysObject = z.strictObject({
  format: z.literal('membridge-keys/1'),
  certificates: z.array(NodeCertificate),
  sealing: SealingKeyLine.optional(),
});
export type KeysObject = z.infer<typeof KeysObject>;

/** Reads such an object; null when it makes no sense. */
export function parseKeys(bytes: Buffer): KeysObject | null {
  try {
    return KeysObject.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}
