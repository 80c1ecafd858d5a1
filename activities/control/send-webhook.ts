import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { lookupAllowedAddresses } from './webhook-address.ts';

/** Time limit for one try, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** A POST request of a webhook. */
export interface WebhookPost {
  readonly url: string;
  readonly deliveryId: string;
  readonly body: string;
  readonly secret: string;
  /** The value of MEMBRIDGE_WEBHOOK_HOSTS. */
  readonly hosts: readonly string[];
  readonly timeoutMs?: number;
}

/**
 * Returns the value of `Membridge-Signature`: the time, and an HMAC-SHA256 in hex over it and the body. A
 * receiver that checks the time rejects replayed requests.
 * @param at epoch seconds
 */
export function webhookSignature(secret: string, at: number, body: string): string {
  const mac = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  return `t=${at},v1=${mac}`;
}

/**
 * Sends a POST request. Does not follow redirects, which could lead to a forbidden host. Reads only the
 * status of the response.
 * @returns the status code
 * @throws AddressRefused when the host is forbidden; Error when there was no response within 10 s
 */
export async function sendWebhook(post: WebhookPost): Promise<number> {
  const { url, deliveryId, body, secret, hosts, timeoutMs = TIMEOUT_MS } = post;
  const target = new URL(url);
  const lookup = lookupAllowedAddresses(target, hosts);
  const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const at = Math.floor(Date.now() / 1_000);
  return await new Promise<number>((resolve, reject) => {
    const sent = request(
      target,
      {
        method: 'POST',
        lookup,
        // A new connection: a kept one would have been checked for another delivery.
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'User-Agent': 'Membridge',
          'Membridge-Delivery': deliveryId,
          'Membridge-Signature': webhookSignature(secret, at, body),
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
