import { clipToStrings, decodeEscapes, isJson } from '../redaction/escapes.ts';
import { findSecrets } from '../redaction/find-secrets.ts';
import { redactByFirstRules } from '../redaction/first-rules.ts';
import type { Span } from '../redaction/key-values.ts';
import { isSameValue, type Row, type Value } from '../format/values.ts';

/**
 * Number of the current redaction rules. A memory's key follows from its redacted text, so a released rule
 * set never changes. A change makes a new set, and `publishedForms` knows the earlier ones.
 *
 * 1: up to release 0.4. 2: formats derived from gitleaks, names with values, escapes and JSON.
 */
export const RULE_SET = 2;

/** claude-mem columns that hold names, not text. */
const NAME_COLUMNS = new Set([
  'content_session_id',
  'platform_source',
  'project',
  'merged_into_project',
  'type',
  'status',
  'created_at',
  'started_at',
  'completed_at',
  'content_hash',
]);

/** Maximum nesting of escapes: JSON in a JSON string in a JSON column. */
const MAX_DEPTH = 3;

/** Returns a text with each secret replaced by its type: `[redacted:github-token]`. JSON stays JSON. */
export function redactText(text: string, ruleSet = RULE_SET): string {
  if (ruleSet === 1) return redactByFirstRules(text);
  const spans = findSecretsIn(text, MAX_DEPTH);
  if (spans.length === 0) return text;
  let redacted = '';
  let at = 0;
  for (const { start, end, name } of isJson(text) ? clipToStrings(text, spans) : spans) {
    redacted += `${text.slice(at, start)}[redacted:${name}]`;
    at = end;
  }
  return redacted + text.slice(at);
}

/** Finds the secrets of a text, both as written and with its escapes decoded. */
function findSecretsIn(text: string, depth: number): Span[] {
  const hasEscapes = depth > 0 && text.includes('\\');
  // An escape can hide a keyword only if it encodes a letter or a slash.
  const hides = hasEscapes && (text.includes('\\u') || text.includes('\\/'));
  const plain = findSecrets(text);
  if (plain === null && !hides) return [];
  if (!hasEscapes) return plain ?? [];
  const { text: decoded, places } = decodeEscapes(text);
  if (decoded.length === text.length) return plain ?? [];
  const within = findSecretsIn(decoded, depth - 1).map(({ start, end, name }) => ({
    start: places[start] ?? 0,
    end: places[end] ?? text.length,
    name,
  }));
  return mergeSpans(within, plain ?? []);
}

/** Merges two ordered lists of finds. Overlapping finds become one, with the name from the first list. */
function mergeSpans(first: readonly Span[], second: readonly Span[]): Span[] {
  if (second.length === 0) return [...first];
  const all = [...first, ...second].sort((a, b) => a.start - b.start || b.end - a.end);
  const joined: Span[] = [];
  for (const span of all) {
    const last = joined.at(-1);
    if (last === undefined || span.start >= last.end) joined.push(span);
    else if (span.end > last.end) joined[joined.length - 1] = { ...last, end: span.end };
  }
  return joined;
}

/** Returns a value without its secrets. Bytes that are not text are searched as if each were a character. */
function redactValue(value: Value, ruleSet: number): Value {
  if (typeof value === 'string') return redactText(value, ruleSet);
  if (value === null || typeof value === 'number' || '$int' in value || '$real' in value) return value;
  const bytes = Buffer.from('$text' in value ? value.$text : value.$blob, 'base64').toString('latin1');
  const redacted = redactText(bytes, ruleSet);
  if (redacted === bytes) return value;
  const base64 = Buffer.from(redacted, 'latin1').toString('base64');
  return '$text' in value ? { $text: base64 } : { $blob: base64 };
}

/** Returns a row without secrets; the very same row when there are none. */
export function redactRow(row: Row, ruleSet = RULE_SET): Row {
  let redacted: Record<string, Value> | null = null;
  for (const column in row) {
    if (NAME_COLUMNS.has(column)) continue;
    const value = row[column] ?? null;
    if (value === null || typeof value === 'number') continue;
    const clean = redactValue(value, ruleSet);
    if (clean === value) continue;
    redacted ??= { ...row };
    redacted[column] = clean;
  }
  return redacted ?? row;
}

/** Returns whether a row contains a redaction, made here or by its sender. */
export function isRedacted(row: Row): boolean {
  return Object.values(row).some((value) => typeof value === 'string' && value.includes('[redacted:'));
}

/**
 * Returns the forms in which releases may have published a row: redacted by each rule set up to `ruleSet`,
 * the newest first, then unredacted. Each form appears once; most rows have one.
 */
export function publishedForms(row: Row, ruleSet = RULE_SET): Row[] {
  const forms: Row[] = [];
  for (let set = ruleSet; set > 0; set -= 1) {
    const form = redactRow(row, set);
    // If a later set finds nothing, neither does an earlier one.
    if (form === row) break;
    const last = forms.at(-1);
    if (last === undefined || !isSameRow(last, form)) forms.push(form);
  }
  return [...forms, row];
}

const isSameRow = (a: Row, b: Row): boolean =>
  Object.keys(a).every((column) => isSameValue(a[column] ?? null, b[column] ?? null));
