import type { PutCredential } from '../../../../contract/projects/projects.ts';

/** A credential as a form edits it: the fields of both kinds. The address decides which ones count. */
export interface CredentialDraft {
  readonly username: string;
  readonly token: string;
  readonly privateKey: string;
  readonly knownHosts: string;
}

export const EMPTY_CREDENTIAL: CredentialDraft = { username: '', token: '', privateKey: '', knownHosts: '' };

/** The fields that show their own problems. */
export const CREDENTIAL_FIELDS = ['kind', 'username', 'token', 'private_key', 'known_hosts'] as const;

/** Returns whether there is something to save. */
export function isFilled(draft: CredentialDraft, kind: PutCredential['kind']): boolean {
  return (kind === 'token' ? draft.token : draft.privateKey).trim() !== '';
}

/** Returns the body that sets the credential. */
export function toCredential(draft: CredentialDraft, kind: PutCredential['kind']): PutCredential {
  if (kind === 'token') {
    const username = draft.username.trim();
    return { kind, username: username === '' ? 'git' : username, token: draft.token.trim() };
  }
  // A key file ends with a line break, which is easily lost on the way through a clipboard.
  return { kind, private_key: `${draft.privateKey.trim()}\n` };
}
