import { hash } from 'node:crypto';
import type { Kind } from './kinds.ts';
import type { Row, Value } from './values.ts';

/** The session of a row, by the name that every machine uses for it. */
export interface SessionName {
  readonly platform: string;
  readonly session: string;
}

/** The default of sdk_sessions.platform_source; databases older than that column mean this platform. */
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

/** Returns the columns that a row's key is made of, in key order; a session's key is its name alone. */
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

function keyParts(kind: Kind, row: Row, session: SessionName | null): Value[] {
  const named = keyColumns(kind).map((column) => row[column] ?? null);
  return kind === 'session' || kind === 'prompt'
    ? [kind, session?.platform ?? DEFAULT_PLATFORM, session?.session ?? null, ...named]
    : [kind, ...named];
}

/**
 * Returns the key of a memory: SHA-256 over immutable, machine-independent columns, so that every machine
 * gives one memory the same name. Leaves out integer ids, memory_session_id (rewritten in place),
 * content_hash (random on old rows), concepts and project.
 * @param session the row's session: part of the key of sessions and prompts, ignored for the other kinds
 * @param ordinal distinguishes rows of one database with equal key columns; 0 for the first
 * @returns 32 bytes
 */
export function memoryKey(kind: Kind, row: Row, session: SessionName | null, ordinal = 0): Buffer {
  return Buffer.from(memoryKeyText(kind, row, session, ordinal), 'hex');
}

/** Returns the same in hexadecimal. A text takes half as long to make as a buffer. */
export function memoryKeyText(kind: Kind, row: Row, session: SessionName | null, ordinal = 0): string {
  const named = keyParts(kind, row, session);
  if (ordinal > 0) named.push(ordinal);
  return hash('sha256', JSON.stringify(named), 'hex');
}

/** Ordinals tried before a row counts as a memory other than the one that a key names. */
const MAX_ORDINAL = 64;

/**
 * Returns the ordinal with which a key belongs to a row, nearly always 0; null when the key is another
 * memory's.
 */
export function ordinalOf(key: Buffer, kind: Kind, row: Row, session: SessionName | null): number | null {
  const wanted = key.toString('hex');
  for (let ordinal = 0; ordinal <= MAX_ORDINAL; ordinal += 1) {
    if (memoryKeyText(kind, row, session, ordinal) === wanted) return ordinal;
  }
  return null;
}
