import type { NodeCredential } from '../contract/projects/projects.ts';

/** Takes what must not be shown out of a text. */
export type Redact = (text: string) => string;

const HIDDEN = '[redacted]';

/** A line of a key shorter than this is no secret, and may well be a word. */
const SHORTEST_KEY_LINE = 16;

/** The text with no user name, password or token left in any address. */
export function withoutUserinfo(text: string): string {
  return text.replace(/((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}:\/\/)[^/\s'"]{0,4096}@/gi, '$1');
}

/**
 * Makes what takes a credential out of a text in every form that git, curl or ssh may print it in, and the userinfo of every
 * address besides.
 */
export function redactor({ credential }: NodeCredential): Redact {
  const secrets = credential === null ? [] : secretsOf(credential);
  return (text) =>
    withoutUserinfo(secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, HIDDEN), text));
}

function secretsOf(credential: NonNullable<NodeCredential['credential']>): string[] {
  if (credential.kind === 'ssh-key') {
    return credential.private_key.split(/\s+/).filter((line) => line.length >= SHORTEST_KEY_LINE);
  }
  const { username, token } = credential;
  const basic = Buffer.from(`${username}:${token}`).toString('base64');
  // The longer forms first: they may hold the shorter.
  return [basic, encodeURIComponent(token), token];
}
