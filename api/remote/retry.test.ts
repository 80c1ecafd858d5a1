import { expect, test } from 'vitest';
import { delayBeforeRetry, isBusy, parseRetryAfter } from './retry.ts';

const delay = (given: Partial<Parameters<typeof delayBeforeRetry>[0]>): number | null =>
  delayBeforeRetry({ method: 'GET', attempt: 1, retryAfterMs: null, random: 0, ...given });

test('the delay doubles from 500 ms, with up to 30 % on top, for three tries', () => {
  expect([1, 2, 3, 4].map((attempt) => delay({ attempt }))).toEqual([500, 1_000, 2_000, null]);
  expect(delay({ attempt: 3, random: 1 })).toBe(2_600);
});

test('only GET and HEAD are tried again', () => {
  expect(['GET', 'HEAD'].map((method) => delay({ method }))).toEqual([500, 500]);
  expect(['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => delay({ method }))).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test('what the server asks for is waited, when it is longer', () => {
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
])('Retry-After %j at 1 s is %j ms', (header, expected) => {
  expect(parseRetryAfter(header, 1_000)).toBe(expected);
});

test('only statuses that may pass are worth another try', () => {
  expect([200, 400, 401, 404, 409, 429, 500, 501, 502, 503, 504].filter(isBusy)).toEqual([
    429, 502, 503, 504,
  ]);
});
