import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { lookupFor } from './webhook-address.ts';

/** How long one try may take in all, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** One POST. */
export interface WebhookPost {
  readonly url: string;
  readonly deliveryId: string;
  readonly body: string;
  readonly secret: string;
  /** Of MEMBRIDGE_WEBHOOK_HOSTS. */
  readonly hosts: readonly string[];
  readonly timeoutMs?: number;
}

/**
 * The value of `Membridge-Signature`: the time and, over it and the body, an HMAC-SHA256 in hex. A receiver that compares the time
 * with its clock takes nothing that somebody recorded and sends again.
 * @param at epoch seconds
 */
export function signatureOf(secret: string, at: number, body: string): string {
  const mac = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  return `t=${at},v1=${mac}`;
}

/**
 * Sends one POST. Redirects are not followed: they could lead where a webhook must not go. What the receiver says besides its status is
 * not read.
 * @returns the status code
 * @throws AddressRefused when the host is where none may be; Error when there was no answer within 10 s
 */
export async function sendWebhook(post: WebhookPost): Promise<number> {
  const { url, deliveryId, body, secret, hosts, timeoutMs = TIMEOUT_MS } = post;
  const target = new URL(url);
  const lookup = lookupFor(target, hosts);
  const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const at = Math.floor(Date.now() / 1_000);
  return await new Promise<number>((resolve, reject) => {
    const sent = request(
      target,
      {
        method: 'POST',
        lookup,
        // A connection of its own: one that is kept would have been checked for another delivery.
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'User-Agent': 'Membridge',
          'Membridge-Delivery': deliveryId,
          'Membridge-Signature': signatureOf(secret, at, body),
        },
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        response.destroy();
      },
    );
    sent.on('error', (error) => {
      const isTimeout = error.name === 'AbortError' || error.name === 'TimeoutError';
      reject(isTimeout ? new Error(`no answer within ${timeoutMs / 1_000} s`, { cause: error }) : error);
    });
    sent.end(body);
  });
}
