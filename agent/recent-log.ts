import { pino, type Logger } from 'pino';
import { z } from 'zod';
import { LOG_LEVELS, MAX_LOG_CHARS, MAX_LOG_LINES, type LogLine } from '../contract/nodes/node-log.ts';
import { redactText } from '../memory/space/redact.ts';

/** A line as pino writes it. */
const PinoLine = z.looseObject({ time: z.number(), level: z.number(), msg: z.string().default('') });

/** Keeps the last lines of this agent's log in memory, so that people can read them from afar. */
export class RecentLog {
  readonly #lines: LogLine[] = [];
  readonly #followers = new Set<(line: LogLine) => void>();

  /** Takes a line from pino. */
  write(text: string): void {
    const line = readLine(text);
    if (line === null) return;
    this.#lines.push(line);
    if (this.#lines.length > MAX_LOG_LINES) this.#lines.shift();
    for (const tell of this.#followers) tell(line);
  }

  /** Returns the last lines, the oldest first. */
  last(count: number): LogLine[] {
    return count === 0 ? [] : this.#lines.slice(-count);
  }

  /** Calls a function with each new line. @returns a function that ends it */
  follow(tell: (line: LogLine) => void): () => void {
    this.#followers.add(tell);
    return () => void this.#followers.delete(tell);
  }
}

/** Makes the agent's log: to standard output, and to the memory of its last lines. */
export function createLog(level: string): { log: Logger; recent: RecentLog } {
  const recent = new RecentLog();
  // Each stream takes every line that the logger's own level lets through.
  const streams = [pino.destination(1), recent].map((stream) => ({ level: 'trace' as const, stream }));
  return { log: pino({ level, name: 'agent' }, pino.multistream(streams)), recent };
}

/** Returns a line with each secret of a known form replaced by its type. */
export function redactLine({ at, level, message, fields }: LogLine): LogLine {
  // The replacement may be longer than the secret.
  const redact = (text: string): string => redactText(text).slice(0, MAX_LOG_CHARS);
  return { at, level, message: redact(message), fields: redact(fields) };
}

function readLine(text: string): LogLine | null {
  const parsed = PinoLine.safeParse(JSON.parse(text));
  if (!parsed.success) return null;
  const { time, level, msg, pid: _pid, hostname: _host, name: _name, ...rest } = parsed.data;
  return {
    at: time,
    level: LOG_LEVELS[Math.min(Math.max(Math.round(level / 10), 1), LOG_LEVELS.length) - 1] ?? 'info',
    message: msg.slice(0, MAX_LOG_CHARS),
    fields: Object.keys(rest).length === 0 ? '' : JSON.stringify(rest).slice(0, MAX_LOG_CHARS),
  };
}
