import { createHmac, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';

/** The purpose of the derived key; the number changes with the format. */
const KEY_PURPOSE = 'membridge-task-token/1';
const MAC_BYTES = 32;

/**
 * Binds task tokens to nodes. Temporal's own tokens are plain protobuf that anybody can forge. So a node receives
 * `token ‖ HMAC`, and must return both. All control planes of an installation have the same signing key, so each
 * accepts what another one bound.
 */
export class TaskTokens {
  readonly #key: Uint8Array;

  /** @param signingKey the control plane's signing key (an Ed25519 private key) */
  constructor(signingKey: KeyObject) {
    const secret = signingKey.export({ format: 'der', type: 'pkcs8' });
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', KEY_PURPOSE, MAC_BYTES));
  }

  /** Returns the token in the form for the node. */
  bind(node: string, token: Uint8Array): Uint8Array {
    return Buffer.concat([token, this.#mac(node, token)]);
  }

  /** Returns Temporal's own token; null when the node did not receive this one. */
  release(node: string, bound: Uint8Array): Uint8Array | null {
    // A shorter one would leave only a code, and Temporal refuses an empty token anyway.
    if (bound.length <= MAC_BYTES) return null;
    const token = bound.subarray(0, -MAC_BYTES);
    return timingSafeEqual(bound.subarray(-MAC_BYTES), this.#mac(node, token)) ? token : null;
  }

  #mac(node: string, token: Uint8Array): Buffer {
    // A node's id has no NUL, so two different pairs never give the same text.
    return createHmac('sha256', this.#key).update(`${node}\0`, 'utf8').update(token).digest();
  }
}
