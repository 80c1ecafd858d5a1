import { Button, SegmentedControl } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectFacts } from '../../../../contract/projects/projects.ts';
import { findFieldProblem, withoutShownFields } from '../../api/problem.ts';
import { projectApi } from '../../api/project-calls.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { useFormError } from '../../components/use-form-error.ts';
import {
  CREDENTIAL_FIELDS,
  toCredential,
  EMPTY_CREDENTIAL,
  isFilled,
  type CredentialDraft,
} from './credential-draft.ts';
import { CredentialFields } from './CredentialFields.tsx';
import styles from './Forms.module.css';
import {
  toCreateBody,
  credentialKind,
  DRAFT_FIELDS,
  EMPTY_DRAFT,
  suggestName,
  extractSecret,
  type ProjectDraft,
} from './project-draft.ts';
import { ProjectFields } from './ProjectFields.tsx';
import { useProjectsCache } from './use-projects-cache.ts';

const ACCESS = [
  { value: 'open', label: 'Public, or the node’s own access' },
  { value: 'private', label: 'Needs a token or key' },
];

/** The form for a new project, with the credential of a private one. */
export function AddProjectForm(props: {
  fleet: readonly Node[];
  onAdded: (project: ProjectFacts) => void;
  onCancel: () => void;
}) {
  const [draft, setDraft] = useState<ProjectDraft>(EMPTY_DRAFT);
  const [named, setNamed] = useState(false);
  const [access, setAccess] = useState('open');
  const [secret, setSecret] = useState<CredentialDraft>(EMPTY_CREDENTIAL);
  const cache = useProjectsCache();
  const kind = credentialKind(draft.repoUrl);
  const needsSecret = access === 'private';

  const change = (part: Partial<ProjectDraft>) => {
    if (part.name !== undefined) setNamed(part.name !== '');
    // Until a name is typed, it follows the address.
    const name = part.repoUrl === undefined || named ? {} : { name: suggestName(part.repoUrl) };
    setDraft((before) => ({ ...before, ...part, ...name }));
  };

  // A project whose credential was refused exists already: another try changes it, and makes no second one.
  const [made, setMade] = useState<ProjectFacts | null>(null);
  const add = useMutation({
    mutationFn: async () => {
      const hosts = secret.knownHosts.trim();
      const body = {
        ...toCreateBody(draft),
        ...(needsSecret && kind === 'ssh-key' && hosts !== '' ? { known_hosts: `${hosts}\n` } : {}),
      };
      const project = made === null ? await projectApi.create(body) : await projectApi.update(made.id, body);
      setMade(project);
      cache.show(project);
      return needsSecret ? await projectApi.putCredential(project.id, toCredential(secret, kind)) : project;
    },
    onSuccess: (project) => {
      cache.show(project);
      props.onAdded(project);
    },
  });
  const { form, error } = useFormError(add.error, { ...toCreateBody(draft), ...toCredential(secret, kind) });
  const found = extractSecret(draft.repoUrl);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  const moveSecret = () => {
    if (found === null) return;
    change({ repoUrl: found.address });
    setSecret((before) => ({ ...before, username: found.username, token: found.token }));
    setAccess('private');
    add.reset();
  };

  return (
    <form ref={form} className={styles.form} onSubmit={submit} data-testid="add-project-form">
      <ProjectFields
        draft={draft}
        onChange={change}
        error={error}
        fleet={props.fleet}
        nameNote="Also the name of its folder. The canonical id follows from it."
        unfolded={false}
      >
        {found !== null && findFieldProblem(error, 'repo_url') !== null && (
          <div className={styles.way} data-testid="secret-in-address">
            <p>The address holds a secret. Store it sealed, as the project’s credential, instead.</p>
            <Button variant="default" size="xs" onClick={moveSecret} data-testid="secret-move">
              Move it to the credential
            </Button>
          </div>
        )}
        <div className={styles.choice}>
          <span id="add-project-access">Access</span>
          <SegmentedControl
            data={ACCESS}
            value={access}
            onChange={setAccess}
            aria-labelledby="add-project-access"
            fullWidth
            data-testid="project-access"
          />
        </div>
        {needsSecret && (
          <CredentialFields
            kind={kind}
            draft={secret}
            onChange={(part) => setSecret((before) => ({ ...before, ...part }))}
            error={error}
          />
        )}
      </ProjectFields>
      {made !== null && add.error !== null && (
        <p className={styles.note} role="status" data-testid="project-made">
          {made.name} was added, but its credential was refused. Correct it below.
        </p>
      )}
      <FormFooter
        prefix="add-project"
        error={withoutShownFields(error, [...DRAFT_FIELDS, ...CREDENTIAL_FIELDS])}
        onCancel={props.onCancel}
        submit={{
          label: 'Add project',
          id: 'submit',
          isPending: add.isPending,
          disabled:
            draft.name.trim() === '' ||
            draft.repoUrl.trim() === '' ||
            (needsSecret && !isFilled(secret, kind)),
        }}
      />
    </form>
  );
}
