import type { Span } from './key-values.ts';
import { entropyOf, isStandIn, looksRandom } from './randomness.ts';

/** Facts that rules remember while reading one text, so that nothing is read twice. */
export interface Reading {
  /** End of the last JSON web token head that nothing follows. */
  headEnd: number;
  /** The first end of a private key at or after the last requested position; null before the first search. */
  keyEnd: { readonly start: number; readonly end: number } | null;
}

/** Returns the initial state. */
export const beginReading = (): Reading => ({ headEnd: 0, keyEnd: null });

/** Finds a secret that begins at a keyword or is announced by it. */
export type SpecialRule = (text: string, at: number, reading: Reading) => Span | null;

const KEY_BEGIN = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/y;
const KEY_END = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/g;

/** The lines of a key whose end is missing. */
const KEY_LINES = /(?:\s{0,4}[A-Za-z0-9+/=]{40,200}){1,2000}(?:\s{0,4}[A-Za-z0-9+/=]{1,200})?/y;

const NO_SPAN = { start: Infinity, end: Infinity };

/** A private key up to the next end marker; without one, up to the last line of key text. */
const findPrivateKey: SpecialRule = (text, at, reading) => {
  KEY_BEGIN.lastIndex = at;
  if (KEY_BEGIN.exec(text) === null) return null;
  const from = KEY_BEGIN.lastIndex;
  if (reading.keyEnd === null || reading.keyEnd.start < from) {
    KEY_END.lastIndex = from;
    const found = KEY_END.exec(text);
    reading.keyEnd = found === null ? NO_SPAN : { start: found.index, end: KEY_END.lastIndex };
  }
  if (reading.keyEnd !== NO_SPAN) return { start: at, end: reading.keyEnd.end, name: 'private-key' };
  KEY_LINES.lastIndex = from;
  const body = KEY_LINES.exec(text);
  return body === null ? null : { start: at, end: KEY_LINES.lastIndex, name: 'private-key' };
};

const PUTTY_KEY = /private-lines:[ \t]{0,4}\d{1,4}(?:\s{1,4}[A-Za-z0-9+/=]{20,200}){1,2000}/iy;

const findPuttyKey: SpecialRule = (text, at) => {
  PUTTY_KEY.lastIndex = at;
  return PUTTY_KEY.exec(text) === null ? null : { start: at, end: PUTTY_KEY.lastIndex, name: 'private-key' };
};

const TOKEN_HEAD = /(?<![A-Za-z0-9_])eyJ[A-Za-z0-9_-]{10,}/y;
const SIGNED_TOKEN_REST = /\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/y;
const ENCRYPTED_TOKEN_REST = /\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}/y;

/** A JSON web token, signed or encrypted. Passes over a whole head that nothing follows. */
const findWebToken: SpecialRule = (text, at, reading) => {
  if (at < reading.headEnd) return null;
  TOKEN_HEAD.lastIndex = at;
  if (TOKEN_HEAD.exec(text) === null) return null;
  reading.headEnd = TOKEN_HEAD.lastIndex;
  for (const rest of [SIGNED_TOKEN_REST, ENCRYPTED_TOKEN_REST]) {
    rest.lastIndex = reading.headEnd;
    if (rest.exec(text) !== null) return { start: at, end: rest.lastIndex, name: 'json-web-token' };
  }
  return null;
};

const ADDRESS_PASSWORD =
  /(?<=\b[a-z][a-z0-9+.-]{1,20}):\/\/[^\s/:@]{1,64}:([^\s/:@]{3,}(?:@[^\s/:@]{0,64}(?=@)){0,4})(?=@)/y;
const DATABASE_PASSWORD =
  /(?<=\b(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|sqlserver|clickhouse|cassandra|neo4j|bolt|nats|ldaps?|smtps?|ftps?|sftp|cockroachdb)(?:\+[a-z0-9]{1,12})?):\/\/[^\s/:@"'`]{0,64}:(?!\[|\d{1,5}\/)([^\s"'`@<>]{3,128})(?=@[\w.-])/iy;
const USER_TOKEN = /(?<=\bhttps?):\/\/([A-Za-z0-9_-]{20,200})(?=@[\w.-])/y;

/** A password in an address (for databases also with colons and slashes), or a token in place of the user. */
const findAddressPassword: SpecialRule = (text, at) => {
  if (text.startsWith('[redacted:', at + 3)) return null;
  for (const pattern of [ADDRESS_PASSWORD, DATABASE_PASSWORD, USER_TOKEN]) {
    pattern.lastIndex = at;
    const secret = pattern.exec(text)?.[1];
    if (secret === undefined || (pattern === USER_TOKEN && !looksRandom(secret))) continue;
    if (secret.startsWith('[redacted')) return null;
    return { start: pattern.lastIndex - secret.length, end: pattern.lastIndex, name: 'password-in-url' };
  }
  return null;
};

const AUTHORIZATION_HEADER =
  /authorization["'`]?[ \t]{0,3}[:=,][ \t]{0,3}["'`]?(?:(bearer|basic|token|digest|apikey|api-key|key|aws4-hmac-sha256|bot)[ \t]{1,4})?([A-Za-z0-9._~+/=-]{8,256})/iy;
const BEARER_TOKEN = /bearer[ \t]{1,4}["'`]?([A-Za-z0-9._~+/=-]{16,256})/iy;

/** The credentials in an Authorization header. */
const findAuthorization: SpecialRule = (text, at) => {
  AUTHORIZATION_HEADER.lastIndex = at;
  const match = AUTHORIZATION_HEADER.exec(text);
  const [, scheme, secret = ''] = match ?? [];
  if (secret === '' || isStandIn(secret)) return null;
  const isBasic = scheme?.toLowerCase() === 'basic' && isEncoded(secret);
  if (!isBasic && !looksRandom(secret)) return null;
  return toTheEnd(text, AUTHORIZATION_HEADER.lastIndex - secret.length, AUTHORIZATION_HEADER.lastIndex);
};

const CREDENTIAL_REST = /[A-Za-z0-9._~+/=-]*/y;

/** Credentials are judged by their beginning; only matches are read to the end. */
function toTheEnd(text: string, start: number, from: number): Span {
  CREDENTIAL_REST.lastIndex = from;
  CREDENTIAL_REST.exec(text);
  return { start, end: CREDENTIAL_REST.lastIndex, name: 'authorization' };
}

/** Returns whether base64 decodes to readable credentials: user and password with a colon. */
const isEncoded = (secret: string): boolean =>
  /^[\x20-\x7e\u00a0-\uffff]+:[\x20-\x7e\u00a0-\uffff]+$/.test(
    Buffer.from(secret, 'base64').toString('utf8'),
  );

const findBearer: SpecialRule = (text, at) => {
  BEARER_TOKEN.lastIndex = at;
  const secret = BEARER_TOKEN.exec(text)?.[1] ?? '';
  if (secret === '' || isStandIn(secret) || !looksRandom(secret)) return null;
  return toTheEnd(text, BEARER_TOKEN.lastIndex - secret.length, BEARER_TOKEN.lastIndex);
};

const CURL_PASSWORD =
  /curl\b[^\n]{0,160}?[ \t](?:-u|--user|--proxy-user)[ \t=]{1,3}["']?[^\s"':]{1,64}:([^\s"']{3,128})/y;
const SSHPASS_PASSWORD = /sshpass[ \t]{1,3}-p[ \t]{0,3}["']?([^\s"']{4,128})/y;
const NETRC_PASSWORD =
  /machine\s{1,4}\S{1,100}\s{1,8}login\s{1,4}\S{1,100}\s{1,8}password\s{1,4}(\S{4,200})/y;
const PASSWORD_OPTION =
  /--(?:[a-z]{1,12}-)?(?:password|passwd|passphrase|token|secret|api-key|access-key|secret-key|client-secret)(?:=|[ \t]{1,3})["']?([^\s"'`]{6,512})/y;

/** A secret among the arguments of a command, or in a .netrc. */
const argumentRule =
  (pattern: RegExp): SpecialRule =>
  (text, at) => {
    pattern.lastIndex = at;
    const secret = pattern.exec(text)?.[1];
    if (secret === undefined || isStandIn(secret)) return null;
    if (!/[0-9]/.test(secret) || entropyOf(secret) < 2) return null;
    return { start: pattern.lastIndex - secret.length, end: pattern.lastIndex, name: 'assigned-secret' };
  };

/** Rules that a pattern table cannot express, by their keywords. */
export const SPECIAL_RULES: readonly (readonly [keywords: readonly string[], rule: SpecialRule])[] = [
  [['-----begin'], findPrivateKey],
  [['private-lines:'], findPuttyKey],
  [['eyj'], findWebToken],
  [['://'], findAddressPassword],
  [['authorization'], findAuthorization],
  [['bearer '], findBearer],
  [['curl '], argumentRule(CURL_PASSWORD)],
  [['sshpass '], argumentRule(SSHPASS_PASSWORD)],
  [['machine '], argumentRule(NETRC_PASSWORD)],
  [
    ['--pass', '--token', '--secret', '--api', '--access', '--client', '--auth', '--db-'],
    argumentRule(PASSWORD_OPTION),
  ],
];
