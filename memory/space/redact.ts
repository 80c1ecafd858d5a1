import { clipToStrings, decodeEscapes, isJson } from '../redaction/escapes.ts';
import { findSecrets } from '../redaction/find-secrets.ts';
import { redactByFirstRules } from '../redaction/first-rules.ts';
import type { Span } from '../redaction/key-values.ts';
import { sameValue, type Row, type Value } from '../format/values.ts';

/**
 * The number of the rules by which secrets are taken out. A memory's key follows from its text without secrets, so a set of
 * rules never changes once a release had it: a change makes a new set, and `publishedForms` knows the ones before.
 *
 * 1: up to release 0.4. 2: formats derived from gitleaks, names with values, escapes and JSON.
 */
export const RULE_SET = 2;

/** Columns of claude-mem that name things rather than say something. */
const NAMES = new Set([
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

/** How often escapes may be within escapes: JSON in a JSON string in a JSON column. */
const MAX_DEPTH = 3;

/** A text without its secrets, each replaced by what it was: `[redacted:github-token]`. JSON stays JSON. */
export function redactText(text: string, ruleSet = RULE_SET): string {
  if (ruleSet === 1) return redactByFirstRules(text);
  const spans = secretsIn(text, MAX_DEPTH);
  if (spans.length === 0) return text;
  let redacted = '';
  let at = 0;
  for (const { start, end, name } of isJson(text) ? clipToStrings(text, spans) : spans) {
    redacted += `${text.slice(at, start)}[redacted:${name}]`;
    at = end;
  }
  return redacted + text.slice(at);
}

/** The secrets of a text as it stands, and as it stands with its escapes decoded. */
function secretsIn(text: string, depth: number): Span[] {
  const hasEscapes = depth > 0 && text.includes('\\');
  // An escape may hide a keyword only where it stands for a letter or a slash.
  const hides = hasEscapes && (text.includes('\\u') || text.includes('\\/'));
  const plain = findSecrets(text);
  if (plain === null && !hides) return [];
  if (!hasEscapes) return plain ?? [];
  const { text: decoded, places } = decodeEscapes(text);
  if (decoded.length === text.length) return plain ?? [];
  const within = secretsIn(decoded, depth - 1).map(({ start, end, name }) => ({
    start: places[start] ?? 0,
    end: places[end] ?? text.length,
    name,
  }));
  return union(within, plain ?? []);
}

/** Finds of two readings in order, with those that overlap made one under the first reading's name. */
function union(first: readonly Span[], second: readonly Span[]): Span[] {
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

/** A value without its secrets. Bytes that are no text are looked at as if each were a character. */
function redactValue(value: Value, ruleSet: number): Value {
  if (typeof value === 'string') return redactText(value, ruleSet);
  if (value === null || typeof value === 'number' || '$int' in value || '$real' in value) return value;
  const bytes = Buffer.from('$text' in value ? value.$text : value.$blob, 'base64').toString('latin1');
  const redacted = redactText(bytes, ruleSet);
  if (redacted === bytes) return value;
  const base64 = Buffer.from(redacted, 'latin1').toString('base64');
  return '$text' in value ? { $text: base64 } : { $blob: base64 };
}

/** A row without secrets; the very same row where there are none. */
export function redactRow(row: Row, ruleSet = RULE_SET): Row {
  let redacted: Record<string, Value> | null = null;
  for (const column in row) {
    if (NAMES.has(column)) continue;
    const value = row[column] ?? null;
    if (value === null || typeof value === 'number') continue;
    const clean = redactValue(value, ruleSet);
    if (clean === value) continue;
    redacted ??= { ...row };
    redacted[column] = clean;
  }
  return redacted ?? row;
}

/** Whether something was taken out of a row, here or by whoever sent it. */
export function isRedacted(row: Row): boolean {
  return Object.values(row).some((value) => typeof value === 'string' && value.includes('[redacted:'));
}

/**
 * A row as releases may have published it: without secrets by each set of rules up to `ruleSet`, the newest first, and as it
 * is. Each form comes once; most rows have one.
 */
export function publishedForms(row: Row, ruleSet = RULE_SET): Row[] {
  const forms: Row[] = [];
  for (let set = ruleSet; set > 0; set -= 1) {
    const form = redactRow(row, set);
    // What a later set finds nothing in has nothing for an earlier one.
    if (form === row) break;
    const last = forms.at(-1);
    if (last === undefined || !isSameRow(last, form)) forms.push(form);
  }
  return [...forms, row];
}

const isSameRow = (a: Row, b: Row): boolean =>
  Object.keys(a).every((column) => sameValue(a[column] ?? null, b[column] ?? null));
