import { expect, test } from 'vitest';
import { delayBeforeRetry, isBusy, parseRetryAfter } from './retry.ts';

const delay = (given: Partial<Parameters<typeof delayBeforeRetry>[0]>): number | null =>
  delayBeforeRetry({ method: 'GET', attempt: 1, retryAfterMs: null, random: 0, ...given });

test('doubles the delay from 500 ms, plus up to 30 %, for three tries', () => {
  expect([1, 2, 3, 4].map((attempt) => delay({ attempt }))).toEqual([500, 1_000, 2_000, null]);
  expect(delay({ attempt: 3, random: 1 })).toBe(2_600);
});

test('repeats only GET and HEAD', () => {
  expect(['GET', 'HEAD'].map((method) => delay({ method }))).toEqual([500, 500]);
  expect(['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => delay({ method }))).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test('waits as long as the server asks, when that is longer', () => {
  expect(delay({ retryAfterMs: 4_000 })).toBe(4_000);
  expect(delay({ retryAfterMs: 100 })).toBe(500);
});

test.each([
  ['3', 3_000],
  [' 3 ', 3_000],
  ['Thu, 01 Jan 1970 00:00:05 GMT', 4_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', null],
  ['-3', null],
  [null, null],
])('reads Retry-After %j at 1 s as %j ms', (header, expected) => {
  expect(parseRetryAfter(header, 1_000)).toBe(expected);
});

test('retries only after temporary statuses', () => {
  expect([200, 400, 401, 404, 409, 429, 500, 501, 502, 503, 504].filter(isBusy)).toEqual([
    429, 502, 503, 504,
  ]);
});
