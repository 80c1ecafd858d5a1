import { PasswordInput, Textarea, TextInput } from '@mantine/core';
import type { PutCredential } from '../../../../contract/projects/projects.ts';
import { findFieldProblem } from '../../api/problem.ts';
import type { CredentialDraft } from './credential-draft.ts';
import styles from './Forms.module.css';

/** The secret of a repository, of the kind that its address needs. */
export function CredentialFields(props: {
  kind: PutCredential['kind'];
  draft: CredentialDraft;
  onChange: (part: Partial<CredentialDraft>) => void;
  error: Error | null;
}) {
  const { kind, draft, onChange, error } = props;
  const wrongKind = findFieldProblem(error, 'kind');
  return (
    <div className={styles.secret} data-testid="credential-fields" data-kind={kind}>
      <p className={styles.note}>
        {kind === 'token'
          ? 'An https:// address needs a token. It is stored sealed, sent only to nodes that clone this project, and never shown again.'
          : 'An ssh address needs a private key. It is stored sealed, sent only to nodes that clone this project, and never shown again.'}
      </p>
      {kind === 'token' ? (
        <>
          <PasswordInput
            label="Token"
            value={draft.token}
            onChange={(event) => onChange({ token: event.currentTarget.value })}
            error={findFieldProblem(error, 'token') ?? wrongKind}
            autoComplete="off"
            spellCheck={false}
            required
            visibilityToggleButtonProps={{ 'aria-label': 'Show the token' }}
            data-testid="credential-token"
          />
          <TextInput
            label="User name"
            description="The user name for the token. Most hosts accept any."
            placeholder="git"
            value={draft.username}
            onChange={(event) => onChange({ username: event.currentTarget.value })}
            error={findFieldProblem(error, 'username')}
            autoComplete="off"
            spellCheck={false}
            data-testid="credential-username"
          />
        </>
      ) : (
        <>
          <Textarea
            label="Private key"
            description="The full file of a deploy key without a passphrase, in OpenSSH’s own format or PEM."
            placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
            value={draft.privateKey}
            onChange={(event) => onChange({ privateKey: event.currentTarget.value })}
            error={findFieldProblem(error, 'private_key') ?? wrongKind}
            autosize
            minRows={4}
            maxRows={8}
            autoComplete="off"
            spellCheck={false}
            required
            classNames={{ input: 'mono' }}
            data-testid="credential-key"
          />
          <Textarea
            label="Host keys"
            description="Lines of a known_hosts file, as ssh-keyscan prints them. Empty: the node’s own file."
            value={draft.knownHosts}
            onChange={(event) => onChange({ knownHosts: event.currentTarget.value })}
            error={findFieldProblem(error, 'known_hosts')}
            autosize
            minRows={2}
            maxRows={6}
            spellCheck={false}
            classNames={{ input: 'mono' }}
            data-testid="credential-hosts"
          />
        </>
      )}
    </div>
  );
}
