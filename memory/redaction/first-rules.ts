/** Replaces a rule's finds in a text, in linear time for any text. */
type Rule = (text: string, instead: string) => string;

const byPattern =
  (pattern: RegExp): Rule =>
  (text, instead) =>
    text.replace(pattern, instead);

const BEGIN = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/g;
const END = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/g;

/**
 * From each first line of a private key to the next last line. A single pattern would search for the end once
 * per beginning.
 */
const redactPrivateKeys: Rule = (text, instead) => {
  let redacted = '';
  for (let at = 0; ;) {
    BEGIN.lastIndex = at;
    const begin = BEGIN.exec(text);
    END.lastIndex = BEGIN.lastIndex;
    const end = begin === null ? null : END.exec(text);
    if (begin === null || end === null) return redacted + text.slice(at);
    redacted += text.slice(at, begin.index) + instead;
    at = end.index + end[0].length;
  }
};

const TOKEN_HEAD = /\beyJ[A-Za-z0-9_-]{10,}/g;
const TOKEN_REST = /\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/y;

/**
 * JSON web tokens. Passes over a whole head that nothing follows; otherwise every "eyJ" within it would be
 * read to its end.
 */
const redactWebTokens: Rule = (text, instead) => {
  let redacted = '';
  for (let at = 0, from = 0; ;) {
    TOKEN_HEAD.lastIndex = from;
    const head = TOKEN_HEAD.exec(text);
    if (head === null) return redacted + text.slice(at);
    from = TOKEN_HEAD.lastIndex;
    TOKEN_REST.lastIndex = from;
    const rest = TOKEN_REST.exec(text);
    if (rest === null) continue;
    from += rest[0].length;
    redacted += text.slice(at, head.index) + instead;
    at = from;
  }
};

/**
 * The rules of releases up to 0.4. Published memories are known by the text that these rules produced, so
 * this file never changes (see redact.ts).
 */
const RULES: readonly (readonly [name: string, rule: Rule])[] = [
  ['private-key', redactPrivateKeys],
  ['anthropic-key', byPattern(/\bsk-ant-[A-Za-z0-9_-]{20,}/g)],
  ['openai-key', byPattern(/\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{40,}/g)],
  ['github-token', byPattern(/\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})/g)],
  ['gitlab-token', byPattern(/\bglpat-[A-Za-z0-9_-]{20,}/g)],
  ['aws-key', byPattern(/\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g)],
  ['google-key', byPattern(/\bAIza[A-Za-z0-9_-]{35}/g)],
  ['slack-token', byPattern(/\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g)],
  ['stripe-key', byPattern(/\b[rs]k_live_[A-Za-z0-9]{20,}/g)],
  ['npm-token', byPattern(/\bnpm_[A-Za-z0-9]{36}\b/g)],
  ['json-web-token', redactWebTokens],
  ['password-in-url', byPattern(/(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,64}:)[^\s/:@]{3,}(?=@)/g)],
];

/** Everything that a rule can begin with; most texts contain none of it and need no further check. */
const ANY_RULE_START =
  /PRIVATE KEY|sk-|gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|AIza|xox|k_live_|npm_|eyJ|:\/\//;

/** Replaces what the first rule set finds, as releases up to 0.4 did: `[redacted:github-token]`. */
export function redactByFirstRules(text: string): string {
  if (!ANY_RULE_START.test(text)) return text;
  let redacted = text;
  for (const [name, rule] of RULES) redacted = rule(redacted, `[redacted:${name}]`);
  return redacted;
}
