import { describe, expect, it } from 'vitest';
import { bytes, counted } from './numbers.ts';
import { compareNames } from './order.ts';
import { ago, duration, longSpan, span } from './time.ts';

describe('numbers in words', () => {
  it('writes bytes in the largest unit that fits', () => {
    expect([0, 999, 1_000, 12_400, 999_499, 999_500, 184_320_000].map(bytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '12.4 kB',
      '999 kB',
      '1.0 MB',
      '184 MB',
    ]);
  });

  it('counts one and many', () => {
    expect([counted(1, 'row'), counted(1_204, 'row')]).toEqual(['1 row', '1,204 rows']);
  });
});

describe('time in words', () => {
  it('writes ages, never negative ones', () => {
    expect([ago(1_000, 500), ago(0, 3_400), span(119_000), longSpan(90_000_000)]).toEqual([
      'now',
      '3 s ago',
      '1 min',
      '1 d 1 h',
    ]);
  });

  it('writes durations', () => {
    expect([84, 1_940, 42_000, 200_000].map(duration)).toEqual(['84 ms', '1.9 s', '42 s', '3 min 20 s']);
  });
});

it('orders names with numbers as people do', () => {
  expect(['node-10', 'node-2'].sort(compareNames)).toEqual(['node-2', 'node-10']);
});
