import type { NodeCredential } from '../contract/projects/projects.ts';

/** Removes secrets from a text. */
export type Redact = (text: string) => string;

const REDACTED = '[redacted]';

/** A shorter line of a key is not a secret, and may well be an ordinary word. */
const SHORTEST_KEY_LINE = 16;

/** Returns the text without user name, password or token in any address. */
export function withoutUserinfo(text: string): string {
  return text.replace(/((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}:\/\/)[^/\s'"]{0,4096}@/gi, '$1');
}

/**
 * Returns a function that removes a credential from a text, in every form that git, curl or ssh may print. It
 * also removes the userinfo of every address.
 */
export function makeRedactor({ credential }: NodeCredential): Redact {
  const secrets = credential === null ? [] : secretsOf(credential);
  return (text) =>
    withoutUserinfo(secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, REDACTED), text));
}

function secretsOf(credential: NonNullable<NodeCredential['credential']>): string[] {
  if (credential.kind === 'ssh-key') {
    return credential.private_key.split(/\s+/).filter((line) => line.length >= SHORTEST_KEY_LINE);
  }
  const { username, token } = credential;
  const basic = Buffer.from(`${username}:${token}`).toString('base64');
  // Longer forms first, because they may contain the shorter ones.
  return [basic, encodeURIComponent(token), token];
}
