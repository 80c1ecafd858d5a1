import type { Row, Value } from './values.ts';

/**
 * Secrets that have a form of their own, as their issuers document it. A rule must hit nothing but secrets: what it takes
 * out is not at the peers. Every node of a space uses the same rules, since a memory's key follows from its text; so a
 * rule is never changed, only added.
 */
const RULES: readonly (readonly [name: string, pattern: RegExp])[] = [
  [
    'private-key',
    /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/g,
  ],
  ['anthropic-key', /\bsk-ant-[A-Za-z0-9_-]{20,}/g],
  ['openai-key', /\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{40,}/g],
  ['github-token', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})/g],
  ['gitlab-token', /\bglpat-[A-Za-z0-9_-]{20,}/g],
  ['aws-key', /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g],
  ['google-key', /\bAIza[A-Za-z0-9_-]{35}/g],
  ['slack-token', /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g],
  ['stripe-key', /\b[rs]k_live_[A-Za-z0-9]{20,}/g],
  ['npm-token', /\bnpm_[A-Za-z0-9]{36}\b/g],
  ['json-web-token', /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g],
  ['password-in-url', /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,64}:)[^\s/:@]{3,}(?=@)/g],
];

/** What any rule can begin with: most texts have none of it and are passed by at once. */
const HINT = /PRIVATE KEY|sk-|gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|AIza|xox|k_live_|npm_|eyJ|:\/\//;

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

/** A text without its secrets, each replaced by what it was: `[redacted:github-token]`. */
export function redactText(text: string): string {
  if (!HINT.test(text)) return text;
  let redacted = text;
  for (const [name, pattern] of RULES) redacted = redacted.replace(pattern, `[redacted:${name}]`);
  return redacted;
}

/** A value without its secrets. Bytes that are no text are looked at as if each were a character. */
function redactValue(value: Value): Value {
  if (typeof value === 'string') return redactText(value);
  if (value === null || typeof value === 'number' || '$int' in value || '$real' in value) return value;
  const bytes = Buffer.from('$text' in value ? value.$text : value.$blob, 'base64').toString('latin1');
  const redacted = redactText(bytes);
  if (redacted === bytes) return value;
  const base64 = Buffer.from(redacted, 'latin1').toString('base64');
  return '$text' in value ? { $text: base64 } : { $blob: base64 };
}

/** A row without secrets; the very same row where there are none. */
export function redactRow(row: Row): Row {
  let redacted: Record<string, Value> | null = null;
  for (const [column, value] of Object.entries(row)) {
    if (NAMES.has(column)) continue;
    const clean = redactValue(value);
    if (clean === value) continue;
    redacted ??= { ...row };
    redacted[column] = clean;
  }
  return redacted ?? row;
}
