import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TypedTimeError, describeTime, parsePastTime, parseTypedTime } from './typed-time.ts';

const NOW = Date.UTC(2026, 10, 22, 17);
const BERLIN = { zone: 'Europe/Berlin', now: NOW };
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Casablanca',
];

describe('parseTypedTime', () => {
  it.each([
    ['2026-11-22 18:00', Date.UTC(2026, 10, 22, 17)],
    ['2026-11-22T18:00', Date.UTC(2026, 10, 22, 17)],
    [' 2026-11-22 18:00:30 ', Date.UTC(2026, 10, 22, 17, 0, 30)],
    ['2026-07-01 18:00', Date.UTC(2026, 6, 1, 16)],
    ['2026-11-22T18:00:00Z', Date.UTC(2026, 10, 22, 18)],
    ['2026-11-22T18:00:00.5Z', Date.UTC(2026, 10, 22, 18, 0, 0, 500)],
    ['2026-11-22 18:00 +05:30', Date.UTC(2026, 10, 22, 12, 30)],
    ['2026-11-22T18:00:00-03:30', Date.UTC(2026, 10, 22, 21, 30)],
    ['2024-02-29 12:00', Date.UTC(2024, 1, 29, 11)],
    ['90m ago', NOW - 90 * 60_000],
    ['2h ago', NOW - 2 * 3_600_000],
    ['3d ago', NOW - 3 * 86_400_000],
    ['1 w ago', NOW - 7 * 86_400_000],
  ])('reads %j', (text, time) => {
    expect(parseTypedTime(text, BERLIN)).toBe(time);
  });

  it.each([
    ['yesterday 5', /not a time in an accepted form: "2026-11-22 18:00"/],
    ['last monday 9', /not a time in an accepted form/],
    ['5', /not a time in an accepted form/],
    ['1795370400000', /not a time in an accepted form/],
    ['11/22/2026 18:00', /not a time in an accepted form/],
    ['22.11.2026 18:00', /not a time in an accepted form/],
    ['2026-11-22 6pm', /not a time in an accepted form/],
    ['2026-1-2 18:00', /not a time in an accepted form/],
    ['2026-11-22 18:00 CET', /not a time in an accepted form/],
    ['2026-11-22  18:00', /not a time in an accepted form/],
    ['2026-11-22 18', /not a time in an accepted form/],
    ['2026-11-22 18:00 x', /not a time in an accepted form/],
    ['Nov 22 2026 18:00', /not a time in an accepted form/],
    ['-2h ago', /not a time in an accepted form/],
    ['2026-11-22', /names a day: add the time of day/],
    ['2026-02-30 12:00', /names a day that is in no calendar/],
    ['2026-02-29 12:00', /names a day that is in no calendar/],
    ['2026-00-10 12:00', /names a day that is in no calendar/],
    ['2026-13-10 12:00', /names a day that is in no calendar/],
    ['2026-11-31T12:00:00Z', /names a day that is in no calendar/],
    ['0026-11-30 12:00', /names a day that is in no calendar/],
    ['2026-11-22 24:00', /a time of day that no clock shows/],
    ['2026-11-22 18:60', /a time of day that no clock shows/],
    ['2026-11-22 18:00:60', /a time of day that no clock shows/],
    ['2026-11-22 18:00 +19:00', /which no time zone has/],
    ['2026-11-22 18:00 +01:75', /which no time zone has/],
    ['1969-12-31 12:00', /before 1970/],
    ['999999d ago', /before 1970/],
    ['2026-03-29 02:30', /does not exist in Europe\/Berlin: the clocks were set forward/],
    ['2026-10-25 02:30', /comes twice.*Write "2026-10-25 02:30 \+02:00" or "2026-10-25 02:30 \+01:00"/],
  ])('refuses %j', (text, why) => {
    expect(() => parseTypedTime(text, BERLIN)).toThrow(why);
    expect(() => parseTypedTime(text, BERLIN)).toThrow(TypedTimeError);
  });

  it('reads each of the two times of a repeated hour, with an offset', () => {
    const first = parseTypedTime('2026-10-25 02:30 +02:00', BERLIN);
    const second = parseTypedTime('2026-10-25 02:30 +01:00', BERLIN);
    expect(second - first).toBe(3_600_000);
  });

  it('refuses the day that Samoa skipped', () => {
    expect(() => parseTypedTime('2011-12-30 12:00', { zone: 'Pacific/Apia', now: NOW })).toThrow(
      /does not exist/,
    );
  });

  it('reads any local time as the moment at which its zone shows it, or reports it as skipped or repeated', () => {
    const moment = fc
      .integer({ min: 86_400, max: Date.UTC(2037, 11, 1) / 1_000 })
      .map((seconds) => seconds * 1_000);
    fc.assert(
      fc.property(moment, fc.constantFrom(...ZONES), (time, zone) => {
        const at = { zone, now: NOW };
        const text = describeTime(time, zone);
        const local = text.slice(0, 19);
        const withOffset = text.slice(0, 26);
        expect(parseTypedTime(withOffset, at)).toBe(time);
        try {
          expect(parseTypedTime(local, at)).toBe(time);
        } catch (error) {
          // Only a repeated hour may be refused: the zone shows these fields at this moment, so they were not
          // skipped.
          expect(String(error)).toMatch(/comes twice/);
          expect(String(error)).toContain(`"${withOffset}"`);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses a date that another calendar library rolls over', () => {
    const parts = fc.tuple(
      fc.integer({ min: 1970, max: 2100 }),
      fc.integer({ min: 0, max: 14 }),
      fc.integer({ min: 0, max: 33 }),
      fc.integer({ min: 0, max: 26 }),
      fc.integer({ min: 0, max: 62 }),
    );
    const two = (value: number): string => String(value).padStart(2, '0');
    fc.assert(
      fc.property(parts, ([year, month, day, hour, minute]) => {
        const text = `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:00Z`;
        const read = (): number => parseTypedTime(text, BERLIN);
        const days = month >= 1 && month <= 12 ? new Date(Date.UTC(year, month, 0)).getUTCDate() : 0;
        if (day >= 1 && day <= days && hour < 24 && minute < 60) {
          expect(new Date(read()).toISOString()).toBe(text.replace('Z', '.000Z'));
        } else expect(read).toThrow(TypedTimeError);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses the other forms that people and programs write', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseTypedTime(text, BERLIN);
        } catch (error) {
          expect(error).toBeInstanceOf(TypedTimeError);
          return;
        }
        expect(text.trim()).toMatch(/^\d{1,6} ?[smhdw] ago$|^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/);
      }),
    );
  });
});

describe('parsePastTime', () => {
  it('refuses a time that has not come yet, in both clocks', () => {
    expect(() => parsePastTime('2026-11-22 18:01', BERLIN)).toThrow(
      '2026-11-22 18:01:00 +01:00 (Europe/Berlin), which is 2026-11-22 17:01:00 UTC has not come yet',
    );
    expect(parsePastTime('2026-11-22 18:00', BERLIN)).toBe(NOW);
  });
});

describe('machineZone', () => {
  it.each([
    ['Europe/Berlin', '2026-11-22 18:00:00 +01:00 (Europe/Berlin)'],
    [':Europe/Berlin', '2026-11-22 18:00:00 +01:00 (Europe/Berlin)'],
    ['/usr/share/zoneinfo/UTC', '2026-11-22 17:00:00 +00:00 ('],
    ['No/Such', '2026-11-22 17:00:00 +00:00 ('],
    ['', '2026-11-22 17:00:00 +00:00 ('],
  ])('reads and shows times where TZ is %j', (zone, shown) => {
    const path = join(import.meta.dirname, 'typed-time.ts');
    const script = `import { describeTime, machineZone, parseTypedTime } from '${path}';
      const zone = machineZone();
      const text = describeTime(${NOW}, zone);
      if (parseTypedTime(text.slice(0, 19), { zone, now: 0 }) !== ${NOW}) throw new Error('another time');
      process.stdout.write(text);`;
    const options = { env: { ...process.env, TZ: zone }, encoding: 'utf8' } as const;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], options);
    expect(said.startsWith(shown), said).toBe(true);
    expect(said).toContain('which is 2026-11-22 17:00:00 UTC');
  });
});
