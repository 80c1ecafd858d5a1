import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type {
  CredentialInfo,
  ManagedProject,
  ProjectSummary,
} from '../../../../contract/projects/projects.ts';
import { withoutShownFields } from '../../api/problem.ts';
import { projectApi } from '../../api/project-calls.ts';
import { Ago } from '../../components/Ago.tsx';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import { CREDENTIAL_FIELDS, toCredential, EMPTY_CREDENTIAL, isFilled } from './credential-draft.ts';
import { CredentialFields } from './CredentialFields.tsx';
import styles from './Forms.module.css';
import { credentialKind } from './project-draft.ts';
import { useProjectsCache } from './use-projects-cache.ts';

/** The form for a repository's secret: set, replace or remove it. */
export function Credential({ project, onClose }: { project: ProjectSummary; onClose: () => void }) {
  const kind = credentialKind(project.repo_url);
  const [draft, setDraft] = useState({ ...EMPTY_CREDENTIAL, knownHosts: project.known_hosts ?? '' });
  const cache = useProjectsCache();
  const hosts = draft.knownHosts.trim();
  const hostsChanged = kind === 'ssh-key' && hosts !== (project.known_hosts ?? '').trim();

  const save = useMutation({
    mutationFn: async () => {
      let saved: ManagedProject | null = null;
      if (hostsChanged) {
        saved = await projectApi.update(project.id, { known_hosts: hosts === '' ? null : `${hosts}\n` });
        cache.show(saved);
      }
      if (isFilled(draft, kind))
        saved = await projectApi.putCredential(project.id, toCredential(draft, kind));
      return saved;
    },
    onSuccess: (saved) => {
      if (saved !== null) cache.show(saved);
      notifyDone(`The credential of ${project.name} was saved`);
      onClose();
    },
  });
  const forget = useMutation({
    mutationFn: () => projectApi.removeCredential(project.id),
    onSuccess: (saved) => {
      cache.show(saved);
      notifyDone(`The credential of ${project.name} was removed`);
      onClose();
    },
    onError: (error) => notifyFailure(`The credential of ${project.name} is still there`, error),
  });
  const values = { ...toCredential(draft, kind), known_hosts: hosts };
  const { form, error } = useFormError(save.error, values);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog title={`Credential of ${project.name}`} testId="credential-dialog" onClose={onClose}>
      <form ref={form} className={styles.form} onSubmit={submit}>
        {project.credential !== null && (
          <div className={styles.way}>
            <p data-testid="credential-present">
              <CredentialWords credential={project.credential} />, set <Ago at={project.credential.set_at} />
            </p>
            <Button
              variant="default"
              size="xs"
              loading={forget.isPending}
              onClick={() => forget.mutate()}
              data-testid="credential-forget"
            >
              Forget it
            </Button>
          </div>
        )}
        <CredentialFields
          kind={kind}
          draft={draft}
          onChange={(part) => setDraft((before) => ({ ...before, ...part }))}
          error={error}
        />
        <FormFooter
          prefix="credential"
          error={withoutShownFields(error, CREDENTIAL_FIELDS)}
          onCancel={onClose}
          submit={{
            label: project.credential === null ? 'Save' : 'Replace',
            id: 'save',
            isPending: save.isPending,
            disabled: !isFilled(draft, kind) && !hostsChanged,
          }}
        />
      </form>
    </Dialog>
  );
}

/** Describes a credential: enough to recognize it, nothing to use it. */
export function CredentialWords({ credential }: { credential: CredentialInfo }) {
  const { kind, username, hint } = credential;
  return (
    <>
      {kind === 'token' ? `Token of ${username ?? 'git'} ` : 'ssh key '}
      <code>{hint}</code>
    </>
  );
}
