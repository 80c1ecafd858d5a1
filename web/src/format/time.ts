const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Formats a moment in full, in the reader's time zone. */
export function absoluteTime(at: number): string {
  return absolute.format(at);
}

/**
 * Formats a length of time in its largest fitting unit.
 * @param ms milliseconds; less than zero counts as zero
 * @returns such as "3 s", "4 min", "2 h", "5 d"
 */
export function span(ms: number): string {
  const length = Math.max(0, ms);
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)} min`;
  if (length < DAY) return `${Math.floor(length / HOUR)} h`;
  return `${Math.floor(length / DAY)} d`;
}

/** Formats it in two units: "1 d 4 h", "3 h 20 min". */
export function longSpan(ms: number): string {
  if (ms < HOUR) return span(ms);
  if (ms < DAY) return `${span(ms)} ${Math.floor((ms % HOUR) / MINUTE)} min`;
  return `${span(ms)} ${Math.floor((ms % DAY) / HOUR)} h`;
}

/** Formats the age of a moment: "now", "3 s ago". */
export function ago(at: number, now: number): string {
  return now - at < SECOND ? 'now' : `${span(now - at)} ago`;
}

/** Formats a measured duration: "84 ms", "1.9 s", "3 min 20 s". */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  const seconds = Math.round(ms / SECOND);
  return seconds < 3_600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : span(ms);
}
