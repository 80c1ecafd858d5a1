import type { Request } from 'express';
import { MembridgeError } from '../../contract/errors.ts';

/**
 * Returns a request's `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header); null when it has none.
 * @throws MembridgeError bad_request when it is not 1 to 255 visible ASCII characters
 */
export function readIdempotencyKey(req: Request): string | null {
  const key = req.get('Idempotency-Key');
  if (key === undefined) return null;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new MembridgeError('bad_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.');
}
