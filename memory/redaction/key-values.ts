import { entropyOf, isStandIn, looksRandom } from './randomness.ts';

/** The position of a secret in a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** The name in its replacement. */
  readonly name: string;
}

/** Words in the names of secrets: those that people choose, and those that are random. Each has its own test. */
const CHOSEN_KEYWORDS = 'passwords passwd password passphrase passwort pwd pass_'.split(' ');
const RANDOM_KEYWORDS =
  'secret token api_key api-key apikey access_key access-key accesskey private_key private-key privatekey auth_key auth-key authkey signing_key signing-key signingkey encryption_key encryption-key encryptionkey master_key secret_key account_key accountkey credential webhook_key deploy_key x-api-key session_key service_key app_key license_key'.split(
    ' ',
  );

/** Keywords that a named value may follow. */
export const NAME_KEYWORDS: readonly (readonly [word: string, isChosen: boolean])[] = [
  ...CHOSEN_KEYWORDS.map((word) => [word, true] as const),
  ...RANDOM_KEYWORDS.map((word) => [word, false] as const),
];

/** Maximum number of characters of a value that are examined. */
const MAX_VALUE_CHARS = 256;

/** The rest of a name, the separator, and the value, in groups: tail, sign, quote, value. */
const ASSIGNMENT = new RegExp(
  `([\\w.-]{0,24})["'\`\\]]{0,3}[ \\t]{0,4}(=>|:=|==?|:|>|[ \\t]is[ \\t](?=["'\`]))[ \\t]{0,4}\\[?[ \\t]{0,2}(["'\`]?)((?:[^\\s"'\`,;<>(){}[\\]\\\\|&]|&(?![\\w.-]{1,40}=)){4,${MAX_VALUE_CHARS}})`,
  'y',
);

/** The rest of a longer value. */
const REST_OF_VALUE = /[^\s"'`,;<>(){}[\]\\|&]*/y;

/** Names about a secret that do not hold one: `token_type`, `passwordHash`, `secret-id`. */
const DESCRIPTIVE_NAME =
  /(?:^|[-_.])(?:ids?|names?|types?|kinds?|counts?|hash(?:es)?|digests?|sha\d*|paths?|files?|ur[il]s?|endpoints?|limits?|sizes?|length|expir\w*|ttl|version|arn|ref|fields?|policy|rotation|prefix|labels?|scopes?|index|usage|budget|age|regex|pattern|manager|provider|reset|updated|created|at)(?:$|[-_.])|(?:Ids?|Names?|Types?|Counts?|Hash|Digest|Paths?|Files?|Ur[il]|Endpoint|Limit|Size|Length|Expir\w*|Version|Ref|Fields?|Policy|Prefix|Labels?|Scopes?|Index|Usage|Manager|Provider|At)$/;

/**
 * Returns the value assigned to a secret's name if it looks like a secret: `password: "…"`, `API_KEY=…`,
 * `<token>…`.
 * @param at where the keyword begins
 * @param word the keyword
 * @param isChosen whether people choose such values, so that they need not look random
 */
export function findValue(text: string, at: number, word: string, isChosen: boolean): Span | null {
  const from = at + word.length;
  ASSIGNMENT.lastIndex = from;
  const match = ASSIGNMENT.exec(text);
  if (match === null) return null;
  const [whole, tail = '', sign = '', quote = '', bare = ''] = match;
  if (DESCRIPTIVE_NAME.test(tail) || (sign === '>' && tail !== '')) return null;
  const start = from + whole.length - bare.length;
  const value = quote === '' ? bare : readQuoted(text, start, quote, bare);
  if (isStandIn(value)) return null;
  // NAME=value as in shells and .env files; prose is not written like that.
  const isVariable = sign === '=' && quote === '' && /^[A-Z_]+$/.test(text.slice(at, from));
  if (!(isChosen ? isChosenValue(value, isVariable || quote !== '') : isRandomValue(value))) return null;
  let end = start + value.length;
  if (value === bare && value.length === MAX_VALUE_CHARS) {
    REST_OF_VALUE.lastIndex = end;
    end += REST_OF_VALUE.exec(text)?.[0].length ?? 0;
  }
  return { start, end, name: 'assigned-secret' };
}

/**
 * Returns a quoted value, which may contain characters that end an unquoted one; `bare` when no quote follows
 * or the value has spaces.
 */
function readQuoted(text: string, start: number, quote: string, bare: string): string {
  const within = text.slice(start, start + MAX_VALUE_CHARS);
  const end = within.indexOf(quote);
  return end < bare.length || /\s/.test(within.slice(0, end)) ? bare : within.slice(0, end);
}

/** @param isLiteral whether the value is quoted or from a shell; otherwise it may be any word */
function isChosenValue(value: string, isLiteral: boolean): boolean {
  if (value.length < 6) return false;
  const letters = /[A-Za-z]/.test(value);
  const digits = /[0-9]/.test(value);
  const signs = /[^A-Za-z0-9._-]/.test(value);
  if (isLiteral) return value.length >= 8 ? letters && (digits || signs) : letters && digits && signs;
  return letters && digits && value.length >= 8 && entropyOf(value) >= 2.5 && !isWord(value);
}

/** Returns whether a value is a word with a number, such as `argon2id` or `sha256`, or joined words. */
const isWord = (value: string): boolean =>
  !looksRandom(value) &&
  value.split(/[._-]/).every((part) => /^(?:[A-Za-z]+(?:\d{1,3}[A-Za-z]+)?\d{0,3}|\d{0,4})$/.test(part));

const isRandomValue = (value: string): boolean => value.length >= 16 && looksRandom(value);
