import { z } from 'zod';
import { KINDS } from './kinds.ts';
import type { Value } from './values.ts';

const ValueSchema = z.union([
  z.null(),
  z.number(),
  z.string(),
  z.strictObject({ $text: z.base64() }),
  z.strictObject({ $blob: z.base64() }),
  z.strictObject({ $int: z.string().regex(/^-?[0-9]{16,19}$/) }),
  z.strictObject({ $real: z.enum(['Infinity', '-Infinity']) }),
]);

/** Counters and clocks stay far below 2^53, so that a node can always write a later version. */
const MAX_COUNTER = 2 ** 40;
const VersionTuple = z.tuple([
  z.number().int().positive().max(MAX_COUNTER),
  z.number().int().nonnegative(),
  z.string().min(1),
]);

export const SessionLine = z.union([
  z.strictObject({ platform: z.string(), session: z.string() }),
  z.strictObject({ memory: z.string() }),
]);

const KEY = /^[0-9a-f]{64}$/;

/**
 * One line of a segment. `key` is SHA-256 in hex (memory/format/keys.ts), `ver` is [counter, hlc, node]. It has one
 * of:
 * - `set`: a whole memory. `n` is the ordinal in its key, unless 0. `of` is the session of a prompt, summary
 *   or observation, or the memory_session_id of a row that lost its session. `mem` is a session's
 *   memory_session_id on the sending node. `x` holds columns unknown to this version of Membridge, for newer
 *   peers. `regs` says when registers were written, where that is not `ver`, and (`life`) when the memory was
 *   written again after a deletion. A NULL column is left out and says nothing, unless `regs` names it.
 * - `up`: new values of some registers, all written at `ver`; with `of`, the memory belongs to another
 *   session.
 * - `del`: the memory is gone; with `kept`, it was like that one, which stayed (merge/clean-up.ts).
 */
const OperationLineSchema = z.strictObject({
  kind: z.enum(KINDS),
  key: z.string().regex(KEY),
  n: z.number().int().positive().optional(),
  ver: VersionTuple,
  of: SessionLine.optional(),
  mem: z.string().optional(),
  set: z.record(z.string(), ValueSchema).optional(),
  x: z.record(z.string(), ValueSchema).optional(),
  regs: z.record(z.string(), VersionTuple).optional(),
  up: z.record(z.string(), ValueSchema).optional(),
  del: z.literal(true).optional(),
  kept: z.string().regex(KEY).optional(),
});
export type OperationLine = z.infer<typeof OperationLineSchema>;

/**
 * Parses a line as JSON of this form.
 * @throws SyntaxError when it is not JSON, ZodError when it has another form
 */
export function readOperationLine(line: string): OperationLine {
  const value: unknown = JSON.parse(line);
  // A bootstrap reads every memory here, so a cheap check comes first. The schema judges lines that it does
  // not accept.
  return isPlainLine(value) ? value : OperationLineSchema.parse(value);
}

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isKey = (value: unknown): boolean => isText(value) && KEY.test(value);

/** Per field, a check that accepts only values that the schema accepts unchanged. */
const CHECKS: Readonly<Record<keyof OperationLine, (value: unknown) => boolean>> = {
  kind: (value) => (KINDS as readonly unknown[]).includes(value),
  key: isKey,
  n: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  ver: isVersion,
  of: isSession,
  mem: isText,
  set: (value) => isRecord(value, isPlainValue),
  x: (value) => isRecord(value, isPlainValue),
  regs: (value) => isRecord(value, isVersion),
  up: (value) => isRecord(value, isPlainValue),
  del: (value) => value === true,
  kept: isKey,
};

/**
 * Returns whether a JSON value certainly has the form of the schema above, with only texts and numbers as
 * values. Takes a tenth of the schema's time.
 */
function isPlainLine(value: unknown): value is OperationLine {
  if (!isObject(value) || !Object.hasOwn(value, 'kind')) return false;
  if (!Object.hasOwn(value, 'key') || !Object.hasOwn(value, 'ver')) return false;
  for (const name in value) {
    if (!Object.hasOwn(CHECKS, name) || !CHECKS[name as keyof OperationLine](value[name])) return false;
  }
  return true;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isPlainValue(value: unknown): value is Value {
  return value === null || typeof value === 'string' || Number.isFinite(value);
}

function isVersion(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [counter, hlc, node] = value as unknown[];
  if (!Number.isSafeInteger(counter) || !Number.isSafeInteger(hlc)) return false;
  const [count, clock] = [counter as number, hlc as number];
  return count > 0 && count <= MAX_COUNTER && clock >= 0 && typeof node === 'string' && node !== '';
}

function isSession(value: unknown): boolean {
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  if (names.length === 1) return names[0] === 'memory' && isText(value['memory']);
  return names.length === 2 && isOwnText(value, 'platform') && isOwnText(value, 'session');
}

const isOwnText = (fields: Fields, name: string): boolean =>
  Object.hasOwn(fields, name) && isText(fields[name]);

/** Returns whether a value is a plain record. A field named `__proto__` is not a column to the schema. */
function isRecord(value: unknown, isValue: (value: unknown) => boolean): boolean {
  if (!isObject(value)) return false;
  for (const name in value) if (name === '__proto__' || !isValue(value[name])) return false;
  return true;
}
