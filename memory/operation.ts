import { z } from 'zod';
import { KINDS, type Kind } from './kinds.ts';
import { memoryKey, type SessionName } from './keys.ts';
import type { Row, Value } from './values.ts';
import type { Version } from './versions.ts';

const ValueSchema = z.union([
  z.null(),
  z.number(),
  z.string(),
  z.strictObject({ $text: z.base64() }),
  z.strictObject({ $blob: z.base64() }),
]);

/**
 * One line of a segment: a memory as it is to be, or (with `del`) that it is gone.
 * - `key`: SHA-256 in hex (memory/keys.ts); `n`: the ordinal in it, when not 0
 * - `ver`: [counter, hlc, node]
 * - `of`: the session of a prompt, summary or observation, or the memory_session_id of a row that has lost its session
 * - `mem`: a session's memory_session_id on the node that sent it
 * - `set`: columns by their newest names; `x`: columns this version of Membridge does not know, for newer peers
 */
export const OperationLine = z.strictObject({
  kind: z.enum(KINDS),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  n: z.number().int().positive().optional(),
  ver: z.tuple([z.number().int().positive(), z.number().int().nonnegative(), z.string().min(1)]),
  of: z
    .union([
      z.strictObject({ platform: z.string(), session: z.string() }),
      z.strictObject({ memory: z.string() }),
    ])
    .optional(),
  mem: z.string().optional(),
  set: z.record(z.string(), ValueSchema).optional(),
  x: z.record(z.string(), ValueSchema).optional(),
  del: z.literal(true).optional(),
});
type OperationLine = z.infer<typeof OperationLine>;

/** The session a row names: by its global name, or by an id that no session here carries. */
export type SessionRef = SessionName | { readonly memory: string };

/** An operation, ready to be applied. */
export interface Operation {
  readonly kind: Kind;
  readonly key: Buffer;
  readonly ordinal: number;
  readonly version: Version;
  readonly of: SessionRef | null;
  readonly mem: string | null;
  readonly set: Row;
  readonly extra: Row | null;
}

/** Canonical JSON: object keys in code-unit order, so that equal operations are equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The line of an operation, without the newline. NULL columns are left out: absent and NULL mean the same. */
export function formatOperation(operation: Operation): string {
  const line: OperationLine = {
    kind: operation.kind,
    key: operation.key.toString('hex'),
    ver: [operation.version.counter, operation.version.hlc, operation.version.node],
    set: Object.fromEntries(Object.entries(operation.set).filter(([, value]) => value !== null)),
  };
  if (operation.ordinal > 0) line.n = operation.ordinal;
  if (operation.of !== null) line.of = operation.of;
  if (operation.mem !== null) line.mem = operation.mem;
  if (operation.extra !== null) line.x = operation.extra;
  return canonicalJson(line);
}

/**
 * Reads a line back and checks that its key is the key of its content: a node cannot name one memory and carry another.
 * @throws Error saying what is wrong with the line
 */
export function parseOperation(line: string): Operation {
  const parsed = OperationLine.parse(JSON.parse(line));
  const key = Buffer.from(parsed.key, 'hex');
  if (parsed.del === true || parsed.set === undefined) {
    throw new Error('the operation is of a later version of Membridge (a deletion)');
  }
  const operation: Operation = {
    kind: parsed.kind,
    key,
    ordinal: parsed.n ?? 0,
    version: { counter: parsed.ver[0], hlc: parsed.ver[1], node: parsed.ver[2] },
    of: parsed.of ?? null,
    mem: parsed.mem ?? null,
    set: parsed.set,
    extra: parsed.x ?? null,
  };
  const expected = memoryKey(operation.kind, operation.set, sessionNameOf(operation), operation.ordinal);
  if (!expected.equals(key)) throw new Error(`the key ${parsed.key} is not the key of the row it carries`);
  return operation;
}

/** Text as SQLite hands it out: bytes that are not UTF-8 become U+FFFD, on every machine alike. */
function readable(value: Value | undefined): string | null {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || !('$text' in value)) return null;
  return Buffer.from(value.$text, 'base64').toString('utf8');
}

/** The name of an operation's session: its own for a session, its parent's for the other kinds; null for an orphan. */
export function sessionNameOf(operation: Pick<Operation, 'kind' | 'of' | 'set'>): SessionName | null {
  if (operation.kind === 'session') {
    const { platform_source: platform, content_session_id: session } = operation.set;
    const name = { platform: readable(platform), session: readable(session) };
    return name.platform === null || name.session === null
      ? null
      : { platform: name.platform, session: name.session };
  }
  return operation.of !== null && 'session' in operation.of ? operation.of : null;
}
