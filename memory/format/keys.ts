import { hash } from 'node:crypto';
import type { Kind } from './kinds.ts';
import type { Row, Value } from './values.ts';

/** The session that a row belongs to, by the name every machine knows it under. */
export interface SessionName {
  readonly platform: string;
  readonly session: string;
}

/** The default of sdk_sessions.platform_source, and what databases older than that column mean. */
export const DEFAULT_PLATFORM = 'claude';

const OBSERVATION_KEY = ['created_at_epoch', 'type', 'title', 'subtitle', 'narrative', 'text', 'facts'];
const SUMMARY_KEY = [
  'created_at_epoch',
  'prompt_number',
  'request',
  'investigated',
  'learned',
  'completed',
  'next_steps',
  'files_read',
  'files_edited',
  'notes',
];
const PROMPT_KEY = ['prompt_number', 'created_at_epoch', 'prompt_text'];

/** The columns of a row that its key is made of, in the key's order; a session's key is its name alone. */
export function keyColumns(kind: Kind): readonly string[] {
  switch (kind) {
    case 'session':
      return [];
    case 'prompt':
      return PROMPT_KEY;
    case 'observation':
      return OBSERVATION_KEY;
    case 'summary':
      return SUMMARY_KEY;
  }
}

function parts(kind: Kind, row: Row, session: SessionName | null): Value[] {
  const named = keyColumns(kind).map((column) => row[column] ?? null);
  return kind === 'session' || kind === 'prompt'
    ? [kind, session?.platform ?? DEFAULT_PLATFORM, session?.session ?? null, ...named]
    : [kind, ...named];
}

/**
 * The key of a memory: SHA-256 over immutable, machine-independent columns, so that every machine gives one memory
 * the same name. Integer ids, memory_session_id (rewritten in place), content_hash (random on old rows), concepts
 * and project are no part of it.
 * @param session the row's session: part of the key of sessions and prompts, ignored for the other kinds
 * @param ordinal tells apart rows of one database whose key columns are all equal; 0 for the first
 * @returns 32 bytes
 */
export function memoryKey(kind: Kind, row: Row, session: SessionName | null, ordinal = 0): Buffer {
  return Buffer.from(memoryKeyText(kind, row, session, ordinal), 'hex');
}

/** The same in hexadecimal. A text takes half the time that a buffer takes to make. */
export function memoryKeyText(kind: Kind, row: Row, session: SessionName | null, ordinal = 0): string {
  const named = parts(kind, row, session);
  if (ordinal > 0) named.push(ordinal);
  return hash('sha256', JSON.stringify(named), 'hex');
}

/** Ordinals tried before a row counts as another memory than a key names. */
const MAX_ORDINAL = 64;

/** The ordinal with which a key is the key of a row, nearly always 0; null when it is another memory's. */
export function ordinalOf(key: Buffer, kind: Kind, row: Row, session: SessionName | null): number | null {
  const wanted = key.toString('hex');
  for (let ordinal = 0; ordinal <= MAX_ORDINAL; ordinal += 1) {
    if (memoryKeyText(kind, row, session, ordinal) === wanted) return ordinal;
  }
  return null;
}
