import type { MemoryRow } from '../claude-mem/read.ts';
import { namedSession } from '../claude-mem/read.ts';
import { LINK_REGISTER, UNITS, type Kind } from '../format/kinds.ts';
import { memoryKey } from '../format/keys.ts';
import type { SessionRef } from '../format/operation.ts';
import type { Value } from '../format/values.ts';

/**
 * A mark is what the ledger keeps of a row in order to notice changes. It holds the first 8 bytes of the
 * row's key (with ordinal 0), then slots of 4 bytes. There is one slot per changeable part, one for all
 * details together, and three for the likeness. The likeness recognizes the row after an edit (see Likeness).
 * Marks written by version 0.4 end before the details; what they lack is unknown.
 */
export const IDENTITY_BYTES = 8;
const SLOT_BYTES = 4;

/** Marks a part without a column in this claude-mem. */
const NO_COLUMN = 0xffff_ffff;

/** Marks a text that is empty or missing. */
const NO_TEXT = 0;

/** How many UTF-16 code units of a text enter its likeness, along with the text's length. */
const LIKENESS_CHARS = 160;

/** The parts of a kind that have their own slot. The details share the slot after them. */
interface Slots {
  readonly own: readonly number[];
  readonly details: readonly number[];
}

const SLOTS: Readonly<Record<Kind, Slots>> = {
  session: slotsOf('session'),
  prompt: slotsOf('prompt'),
  summary: slotsOf('summary'),
  observation: slotsOf('observation'),
};

function slotsOf(kind: Kind): Slots {
  const all = UNITS[kind].map((unit, index) => ({ unit, index }));
  const pick = (isDetail: boolean): number[] =>
    all.filter(({ unit }) => unit.isDetail === isDetail).map(({ index }) => index);
  return { own: pick(false), details: pick(true) };
}

/** The key columns that make two memories alike: those that name them and those that hold their text. */
const LIKE_COLUMNS: Readonly<Record<Kind, { head: readonly string[]; body: readonly string[] }>> = {
  session: { head: [], body: [] },
  prompt: { head: ['prompt_text'], body: [] },
  summary: { head: ['request'], body: ['learned', 'completed', 'investigated'] },
  observation: { head: ['title'], body: ['narrative', 'text', 'facts'] },
};

/**
 * Recognizes a row whose key changed, by its creation time (`birth`) and two short hashes. `head` is the hash
 * of what names the row, `body` that of its text; 0 means an empty text. Sessions have no likeness: their
 * name is their key.
 */
export interface Likeness {
  readonly birth: number;
  readonly head: number;
  readonly body: number;
}

const LIKENESS_SLOTS = 3;

/** Returns FNV-1a over UTF-16 code units. A changed part stays unnoticed once in four billion times. */
export function hash32(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  }
  return hash >>> 0 === NO_COLUMN ? 0 : hash >>> 0;
}

/**
 * Returns a part's slot value.
 * @param values the part's columns, in order
 */
export function hashUnit(values: readonly Value[]): number {
  const [only] = values;
  if (values.length === 1 && typeof only === 'string') return hash32(only);
  return hash32(JSON.stringify(values.map((value) => value ?? null)));
}

/** Returns the slot value of the session that a row belongs to. */
export function hashLink(of: SessionRef): number {
  return hash32(
    'session' in of
      ? JSON.stringify({ platform: of.platform, session: of.session })
      : JSON.stringify({ memory: of.memory }),
  );
}

/**
 * Returns a row's likeness.
 * @param value returns the value of a key column of the row
 */
export function likenessFrom(kind: Kind, value: (column: string) => Value | undefined): Likeness {
  const { head, body } = LIKE_COLUMNS[kind];
  const hashFirst = (columns: readonly string[]): number => {
    for (const column of columns) {
      const text = value(column);
      if (typeof text !== 'string' || text.trim() === '') continue;
      return Math.max(1, hash32(`${text.length}:${text.slice(0, LIKENESS_CHARS)}`));
    }
    return NO_TEXT;
  };
  return {
    birth: hash32(JSON.stringify(value('created_at_epoch') ?? null)),
    head: hashFirst(head),
    body: hashFirst(body),
  };
}

/**
 * Builds a mark.
 * @param identity the key with ordinal 0, as bytes or in hexadecimal: at least its first 8 bytes
 * @param units the slot value of each part that has its own slot, null without a column
 * @param details the slot value of all details together; null for a kind without details
 * @param likeness null for a session
 */
export function writeMark(
  identity: string | Buffer,
  units: readonly (number | null)[],
  details: number | null,
  likeness: Likeness | null,
): Buffer {
  const slots = units.map((unit) => unit ?? NO_COLUMN);
  if (details !== null) slots.push(details);
  if (likeness !== null) slots.push(likeness.birth, likeness.head, likeness.body);
  const mark = Buffer.allocUnsafe(IDENTITY_BYTES + slots.length * SLOT_BYTES);
  if (typeof identity === 'string') mark.write(identity, 0, IDENTITY_BYTES, 'hex');
  else identity.copy(mark, 0, 0, IDENTITY_BYTES);
  for (let index = 0; index < slots.length; index += 1) {
    mark.writeUInt32LE(slots[index] ?? NO_COLUMN, IDENTITY_BYTES + index * SLOT_BYTES);
  }
  return mark;
}

/**
 * Returns the mark of a row as it is now.
 * @param has returns whether this claude-mem has a column of the row's kind
 * @param key the row's key with ordinal 0
 */
export function markOf(
  row: MemoryRow,
  has: (column: string) => boolean,
  key: Buffer = memoryKey(row.kind, row.set, namedSession(row.of)),
): Buffer {
  const { kind, set } = row;
  const { own, details } = SLOTS[kind];
  const units = own.map((index) => {
    const unit = UNITS[kind][index];
    if (unit === undefined) return null;
    if (unit.name === LINK_REGISTER) return hashLink(row.of);
    if (!unit.columns.every(has)) return null;
    return hashUnit(unit.columns.map((column) => set[column] ?? null));
  });
  return writeMark(
    key,
    units,
    details.length === 0 ? null : hashDetails(kind, (column) => set[column]),
    kind === 'session' ? null : likenessFrom(kind, (column) => set[column]),
  );
}

/**
 * Returns the slot value of a row's details. A missing column counts as NULL, so that an upgrade that adds it
 * changes nothing.
 */
export function hashDetails(kind: Kind, value: (column: string) => Value | undefined): number {
  const columns = SLOTS[kind].details.flatMap((index) => UNITS[kind][index]?.columns ?? []);
  return hash32(JSON.stringify(columns.map((column) => value(column) ?? null)));
}

/**
 * Compares two marks of one row. Returns whether the row holds another memory, and the numbers of the parts
 * that may have changed.
 */
export function compareMarks(kind: Kind, told: Buffer, now: Buffer): { moved: boolean; units: number[] } {
  const moved = told.compare(now, 0, IDENTITY_BYTES, 0, IDENTITY_BYTES) !== 0;
  const { own, details } = SLOTS[kind];
  const differs = (slot: number): boolean => {
    const at = IDENTITY_BYTES + slot * SLOT_BYTES;
    if (at + SLOT_BYTES > told.length || at + SLOT_BYTES > now.length) return false;
    // A part without a column before or now cannot have changed.
    const [before, after] = [told.readUInt32LE(at), now.readUInt32LE(at)];
    return before !== after && before !== NO_COLUMN && after !== NO_COLUMN;
  };
  const units = own.filter((_unit, slot) => differs(slot));
  if (details.length > 0 && differs(own.length)) units.push(...details);
  return { moved, units };
}

/** Returns the likeness stored in a mark; null when the mark has none. */
export function likenessOf(kind: Kind, mark: Buffer): Likeness | null {
  if (kind === 'session') return null;
  const { own, details } = SLOTS[kind];
  const at = IDENTITY_BYTES + (own.length + (details.length > 0 ? 1 : 0)) * SLOT_BYTES;
  if (mark.length < at + LIKENESS_SLOTS * SLOT_BYTES) return null;
  const slot = (index: number): number => mark.readUInt32LE(at + index * SLOT_BYTES);
  return { birth: slot(0), head: slot(1), body: slot(2) };
}

/** Returns the offset of the session slot; null for a kind whose marks have none. */
function linkAt(kind: Kind): number | null {
  const slot = SLOTS[kind].own.findIndex((index) => UNITS[kind][index]?.name === LINK_REGISTER);
  return slot < 0 ? null : IDENTITY_BYTES + slot * SLOT_BYTES;
}

/** Returns the session slot of a mark; 0 when it has none. */
export function linkOf(kind: Kind, mark: Buffer): number {
  const at = linkAt(kind);
  return at === null ? 0 : mark.readUInt32LE(at);
}

/** Returns whether a mark and the current row name the same session. */
export function isSameLink(kind: Kind, told: Buffer, now: Buffer): boolean {
  return linkAt(kind) !== null && linkOf(kind, told) === linkOf(kind, now);
}

/**
 * Returns the byte offsets of the likeness slots in a mark; `link` is null for a kind whose marks have none.
 */
export function likenessSlots(kind: Kind): { head: number; body: number; link: number | null } {
  const { own, details } = SLOTS[kind];
  const birth = IDENTITY_BYTES + (own.length + (details.length > 0 ? 1 : 0)) * SLOT_BYTES;
  return { head: birth + SLOT_BYTES, body: birth + 2 * SLOT_BYTES, link: linkAt(kind) };
}

/** Returns whether a mark was written before marks contained details and likeness. */
export function isShort(kind: Kind, mark: Buffer): boolean {
  const { own, details } = SLOTS[kind];
  const slots = own.length + (details.length > 0 ? 1 : 0) + (kind === 'session' ? 0 : LIKENESS_SLOTS);
  return mark.length < IDENTITY_BYTES + slots * SLOT_BYTES;
}
