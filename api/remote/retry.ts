/** How many tries follow the first one. */
const MAX_RETRIES = 3;
const FIRST_DELAY_MS = 500;
/** The largest random part of a delay, so that many callers do not return at the same moment. */
const JITTER = 0.3;

/** Temporary statuses: the same request may succeed a moment later. */
const BUSY_STATUSES = new Set([429, 502, 503, 504]);

/** Returns whether a status is worth another try. */
export function isBusy(status: number): boolean {
  return BUSY_STATUSES.has(status);
}

/**
 * Returns how long to wait before a try, in milliseconds: 500 × 2^n and up to 30 % more, or as long as the server
 * asked for.
 * @param attempt tries made so far, from 1
 * @param method only GET and HEAD never change anything, so only they are repeated
 * @param random 0 to 1
 * @returns null when there is no further try
 */
export function delayBeforeRetry(input: {
  method: string;
  attempt: number;
  retryAfterMs: number | null;
  random: number;
}): number | null {
  const { method, attempt, retryAfterMs, random } = input;
  if ((method !== 'GET' && method !== 'HEAD') || attempt > MAX_RETRIES) return null;
  const backoff = FIRST_DELAY_MS * 2 ** (attempt - 1) * (1 + JITTER * random);
  return Math.max(backoff, retryAfterMs ?? 0);
}

/**
 * Reads a Retry-After header: seconds, or a date.
 * @returns milliseconds from `now`, or null when it is missing or unreadable
 */
export function parseRetryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  // Date.parse without this check accepts almost any text as a date.
  const at = /^[A-Z][a-z]{2}, .* GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
