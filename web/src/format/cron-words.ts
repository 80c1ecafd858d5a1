const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

/** One field of an expression: every value, every nth value, or listed values. */
type Field =
  | { readonly kind: 'every'; readonly step: number }
  | { readonly kind: 'some'; readonly parts: readonly Part[] };
interface Part {
  readonly from: number;
  readonly to: number;
}

interface Limits {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}
const FIELDS = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: ['', ...MONTHS] },
  { name: 'day of the week', min: 0, max: 7, names: [...WEEKDAYS, 'Sunday'] },
] as const satisfies readonly Limits[];

/** The meaning of an expression, or what is wrong with it. */
export type CronReading = { readonly words: string } | { readonly problem: string };

/**
 * Describes a cron expression of five fields (minute, hour, day of month, month, day of week; UTC) in words.
 * @returns the words, or the problem; Temporal decides in the end what is valid
 */
export function readCron(expression: string): CronReading {
  const texts = expression.trim().split(/\s+/);
  if (texts.length !== 5 || texts[0] === '') {
    return { problem: 'Needs five fields: minute, hour, day of month, month, day of week.' };
  }
  const fields: Field[] = [];
  for (const [index, limits] of FIELDS.entries()) {
    const field = parseField(texts[index] ?? '', limits);
    if (typeof field === 'string') return { problem: field };
    fields.push(field);
  }
  const [minute, hour, day, month, weekday] = fields as [Field, Field, Field, Field, Field];
  const when = [daysIn(day, weekday), monthsIn(month)].filter(Boolean).join(' ');
  return { words: `${capitalizeFirst(timesIn(minute, hour))}${when === '' ? '' : `, ${when}`} (UTC)` };
}

/** Parses one field. @returns the field, or a sentence that says what is wrong with it */
function parseField(text: string, limits: Limits): Field | string {
  const step = /^\*(?:\/(\d+))?$/.exec(text);
  if (step !== null) {
    const every = Number(step[1] ?? 1);
    return every >= 1 ? { kind: 'every', step: every } : `The ${limits.name} has a step of 0.`;
  }
  const parts: Part[] = [];
  for (const piece of text.split(',')) {
    const [from, to, extra] = piece.split('-').map((value) => valueOf(value, limits));
    if (from === undefined || extra !== undefined || from === null || to === null) {
      const range = `${limits.min} to ${limits.max}`;
      return `The ${limits.name} "${text}" is not understood here: it takes ${range}, "*", lists and ranges.`;
    }
    parts.push({ from, to: to ?? from });
  }
  return { kind: 'some', parts };
}

function valueOf(text: string, { min, max, names }: Limits): number | null {
  const named = /^[A-Za-z]{3,}$/.test(text)
    ? (names ?? []).findIndex((name) => name.toLowerCase().startsWith(text.toLowerCase()))
    : -1;
  if (named !== -1) return named;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : null;
}

const capitalizeFirst = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const padTwo = (value: number): string => String(value).padStart(2, '0');
const isSingle = ({ from, to }: Part): boolean => from === to;

function joinWords(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}

function timesIn(minute: Field, hour: Field): string {
  if (minute.kind === 'every') {
    const often = minute.step === 1 ? 'every minute' : `every ${minute.step} minutes`;
    if (hour.kind === 'some') return `${often} from ${hoursIn(hour)}`;
    return hour.step === 1 ? often : `${often} of every ${ordinal(hour.step)} hour`;
  }
  if (hour.kind === 'every') {
    const often = hour.step === 1 ? 'every hour' : `every ${hour.step} hours`;
    const [only] = minute.parts;
    if (minute.parts.length === 1 && only?.from === 0 && only.to === 0) return often;
    return `${often}, at minute ${joinWords(minute.parts.map(rangeOf))}`;
  }
  if (minute.parts.every(isSingle) && hour.parts.every(isSingle)) {
    const times = hour.parts.flatMap((h) => minute.parts.map((m) => `${padTwo(h.from)}:${padTwo(m.from)}`));
    return `at ${joinWords(times)}`;
  }
  return `at minute ${joinWords(minute.parts.map(rangeOf))} from ${hoursIn(hour)}`;
}

const rangeOf = (part: Part): string => (isSingle(part) ? String(part.from) : `${part.from} to ${part.to}`);

function hoursIn({ parts }: Extract<Field, { kind: 'some' }>): string {
  return joinWords(parts.map(({ from, to }) => `${padTwo(from)}:00 to ${padTwo(to)}:59`));
}

function ordinal(value: number): string {
  const end = value % 100 > 10 && value % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][value % 10] ?? 'th');
  return `${value}${end}`;
}

function daysIn(day: Field, weekday: Field): string {
  const words: string[] = [];
  if (day.kind === 'some') words.push(`on day ${joinWords(day.parts.map(rangeOf))} of the month`);
  else if (day.step > 1) words.push(`on every ${ordinal(day.step)} day of the month`);
  if (weekday.kind === 'some') words.push(`on ${nameParts(weekday.parts, [...WEEKDAYS, 'Sunday'])}`);
  else if (weekday.step > 1) words.push(`on every ${ordinal(weekday.step)} day of the week`);
  // Cron's special rule: when both kinds of days are set, either one is enough.
  return words.join(' or ');
}

function monthsIn(month: Field): string {
  if (month.kind === 'some') return `in ${nameParts(month.parts, ['', ...MONTHS])}`;
  return month.step > 1 ? `in every ${ordinal(month.step)} month` : '';
}

function nameParts(parts: readonly Part[], names: readonly string[]): string {
  const word = (value: number): string => names[value] ?? String(value);
  return joinWords(
    parts.map((part) => (isSingle(part) ? word(part.from) : `${word(part.from)} to ${word(part.to)}`)),
  );
}
