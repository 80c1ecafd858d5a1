/** Thrown for typed text that does not name one moment; the message says why and how to write it. */
export class TypedTimeError extends Error {}

/** The time zone and the moment at which a time was typed. */
export interface TypedAt {
  /**
   * An IANA time zone, such as "Europe/Berlin", for times without an offset. Null: this process's own, which may have
   * no name.
   */
  readonly zone: string | null;
  /** Epoch ms; "2h ago" counts from it. */
  readonly now: number;
}

/** The accepted forms, for help and for messages. */
export const TIME_FORMS = `"2026-11-22 18:00", "2026-11-22 18:00:30", "2026-11-22T18:00:00Z", "2026-11-22 18:00 +01:00", "90m ago", "2h ago" or "3d ago"`;

const AGO_FORM = /^(\d{1,6}) ?([smhdw]) ago$/;
const AGO_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;
const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?(?: ?(Z|[+-]\d{2}:\d{2}))?$/;
const DATE_ALONE = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MS = 86_400_000;
/** The largest offset of a zone from UTC, in minutes. */
const MAX_OFFSET_MINUTES = 14 * 60;

/**
 * Reads a time that a person typed. It accepts only the strict forms of TIME_FORMS, so that a typing error never
 * becomes another time. A time without an offset belongs to the given zone; a day in "3d ago" is 24 hours.
 * @returns epoch ms
 * @throws TypedTimeError for other forms, days that no calendar has, and local times that a clock change skips or
 * repeats
 */
export function parseTypedTime(text: string, { zone, now }: TypedAt): number {
  const typed = text.trim();
  const ago = AGO_FORM.exec(typed);
  if (ago !== null) {
    const time = now - Number(ago[1]) * AGO_MS[ago[2] as keyof typeof AGO_MS];
    if (time < 0) throw new TypedTimeError(`"${text}" is before 1970.`);
    return time;
  }
  if (DATE_ALONE.test(typed)) {
    throw new TypedTimeError(`"${text}" names a day: add the time of day, such as "${typed} 18:00".`);
  }
  const match = DATE_TIME.exec(typed);
  if (match === null) throw new TypedTimeError(`"${text}" is not a time in an accepted form: ${TIME_FORMS}.`);
  const wall = wallTime(match, text);
  const offset = match[8];
  const time = offset === undefined ? fromZone(wall, zone, typed) : wall - offsetMs(offset, text);
  if (time < 0) throw new TypedTimeError(`"${text}" is before 1970.`);
  return time;
}

/**
 * Reads a time that a person typed for something in the past.
 * @throws TypedTimeError as parseTypedTime does, and for a time in the future
 */
export function parsePastTime(text: string, at: TypedAt): number {
  const time = parseTypedTime(text, at);
  if (time > at.now) {
    throw new TypedTimeError(`${describeTime(time, at.zone)} has not come yet. Name a time in the past.`);
  }
  return time;
}

/**
 * Formats a moment as both clocks show it: "2026-11-22 18:00:00 +01:00 (Europe/Berlin), which is 2026-11-22 17:00:00
 * UTC".
 */
export function describeTime(time: number, zone: string | null): string {
  const offset = offsetAt(time, zone);
  const local = wallText(time + offset);
  return `${local} ${offsetText(offset)} (${zoneName(zone)}), which is ${wallText(time)} UTC`;
}

/** Returns the time zone of this machine; null when it has no name, as with TZ=/usr/share/zoneinfo/Europe/Berlin. */
export function machineZone(): string | null {
  // The zone may be missing, although the types do not say so.
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone as string | undefined;
  return zone === undefined || zone === 'Etc/Unknown' ? null : zone;
}

const zoneName = (zone: string | null): string => zone ?? 'the time zone of this machine';

/** Returns the fields as if they were in UTC, in ms. @throws TypedTimeError when no calendar or clock has them */
function wallTime(match: RegExpExecArray, text: string): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const ms = Number((match[7] ?? '').padEnd(3, '0'));
  if (hour > 23 || minute > 59 || second > 59) {
    throw new TypedTimeError(`"${text}" has a time of day that no clock shows.`);
  }
  const wall = Date.UTC(year, month - 1, day, hour, minute, second, ms);
  const date = new Date(wall);
  // Date turns 30 February into a day in March, and adds 1900 to years below 100.
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) {
    throw new TypedTimeError(`"${text}" names a day that is in no calendar.`);
  }
  return wall;
}

function offsetMs(offset: string, text: string): number {
  if (offset === 'Z') return 0;
  const [hours = 0, minutes = 0] = offset.slice(1).split(':').map(Number);
  const total = hours * 60 + minutes;
  if (minutes > 59 || total > MAX_OFFSET_MINUTES) {
    throw new TypedTimeError(`"${text}" has the offset ${offset}, which no time zone has.`);
  }
  return (offset.startsWith('-') ? -total : total) * 60_000;
}

/** Returns the one moment at which the clocks of a zone show the fields. @throws TypedTimeError when there is none, or two */
function fromZone(wall: number, zone: string | null, typed: string): number {
  // A zone changes its offset at most once within two days, so no other offset can apply at that moment.
  const offsets = new Set([
    offsetAt(wall - DAY_MS, zone),
    offsetAt(wall, zone),
    offsetAt(wall + DAY_MS, zone),
  ]);
  const times = [...offsets]
    .map((offset) => wall - offset)
    .filter((time) => time + offsetAt(time, zone) === wall);
  const [only, other] = times;
  if (only === undefined) {
    throw new TypedTimeError(
      `"${typed}" does not exist in ${zoneName(zone)}: the clocks were set forward over it. Name another time, or add an offset such as "${typed} +00:00".`,
    );
  }
  if (other !== undefined) {
    const choices = times.sort((a, b) => a - b).map((time) => `"${typed} ${offsetText(wall - time)}"`);
    throw new TypedTimeError(
      `"${typed}" comes twice in ${zoneName(zone)}, because the clocks were set back. Write ${choices.join(' or ')}.`,
    );
  }
  return only;
}

const formats = new Map<string | null, Intl.DateTimeFormat>();

/** Returns how far the clocks of a zone are ahead of UTC at a moment, in ms. */
function offsetAt(time: number, zone: string | null): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      ...(zone === null ? {} : { timeZone: zone }),
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const wall = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return wall - Math.floor(time / 1_000) * 1_000;
}

function offsetText(offset: number): string {
  const seconds = Math.abs(offset) / 1_000;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(seconds / 3_600)}:${two((seconds / 60) % 60)}`;
}

/** Formats "2026-11-22 18:00:00", with milliseconds where there are any. */
function wallText(wall: number): string {
  return new Date(wall)
    .toISOString()
    .replace('T', ' ')
    .replace(/(\.000)?Z$/, '');
}
