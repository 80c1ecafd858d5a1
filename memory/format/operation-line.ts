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

/** Counters and clocks stay far below 2^53, so that a node can always write a later one. */
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
 * One line of a segment. `key` is SHA-256 in hex (memory/format/keys.ts), `ver` is [counter, hlc, node]. It says one of:
 * - `set`: a memory as a whole. `n` is the ordinal in its key, when not 0; `of` the session of a prompt, summary or
 *   observation, or the memory_session_id of a row that has lost its session; `mem` a session's memory_session_id on the
 *   node that sent it; `x` columns this version of Membridge does not know, for newer peers; `regs` when registers were
 *   written, where that is not `ver`, and (`life`) when the memory was written again after a deletion. A column that is NULL is left out and says nothing, unless `regs` names it.
 * - `up`: some registers of a memory have new values, all written at `ver`; with `of`, it belongs to another session.
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
 * Reads a line as JSON of the right form.
 * @throws SyntaxError when it is no JSON, ZodError when its form is another one
 */
export function readOperationLine(line: string): OperationLine {
  const value: unknown = JSON.parse(line);
  // Every memory of a bootstrap passes here, so that a short check comes first. The schema judges what it does not accept.
  return isPlainLine(value) ? value : OperationLineSchema.parse(value);
}

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isKey = (value: unknown): boolean => isText(value) && KEY.test(value);

/** For each field, a check that accepts only values that the schema accepts unchanged. */
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
 * Whether a value out of JSON certainly has the form of the schema above, with texts and numbers as its only values. That costs
 * a tenth of the schema.
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

/** A field of the name `__proto__` is no column to the schema. */
function isRecord(value: unknown, isValue: (value: unknown) => boolean): boolean {
  if (!isObject(value)) return false;
  for (const name in value) if (name === '__proto__' || !isValue(value[name])) return false;
  return true;
}
