import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { originOf } from '../../../../contract/projects/git-url.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { withoutShownFields } from '../../api/problem.ts';
import { projectApi } from '../../api/project-calls.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import styles from './Forms.module.css';
import { toCreateBody, findChanges, DRAFT_FIELDS, toDraft } from './project-draft.ts';
import { ProjectFields } from './ProjectFields.tsx';
import { useProjectsCache } from './use-projects-cache.ts';

/** The form for a project's settings. */
export function EditProject(props: { project: ProjectSummary; fleet: readonly Node[]; onClose: () => void }) {
  const { project } = props;
  // The project as it was when the form opened: a live event must not change what somebody edits.
  const [before] = useState(project);
  const [draft, setDraft] = useState(() => toDraft(before));
  const cache = useProjectsCache();
  const changes = findChanges(before, draft);
  const save = useMutation({
    mutationFn: () => projectApi.update(project.id, changes),
    onSuccess: (saved) => {
      cache.show(saved);
      notifyDone(`Settings of ${saved.name} were saved`);
      props.onClose();
    },
  });
  const { form, error } = useFormError(save.error, toCreateBody(draft));
  const drops = before.credential !== null && isOtherAddress(before.repo_url, draft.repoUrl);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog
      title={`Settings of ${before.name}`}
      testId="edit-project-dialog"
      size="lg"
      onClose={props.onClose}
    >
      <form ref={form} className={styles.form} onSubmit={submit}>
        <ProjectFields
          draft={draft}
          onChange={(part) => setDraft((now) => ({ ...now, ...part }))}
          error={error}
          fleet={props.fleet}
          nameNote="A new name gives it a new canonical id. The former id stays as an alias. Clones stay where they are."
          unfolded
        >
          {drops && (
            <p className={styles.note} role="status" data-testid="edit-project-drops">
              The address has another protocol, host or port, so saving removes the credential. A secret is
              sent only to the place that it was set for.
            </p>
          )}
        </ProjectFields>
        <FormFooter
          prefix="edit-project"
          error={withoutShownFields(error, DRAFT_FIELDS)}
          onCancel={props.onClose}
          submit={{
            label: 'Save',
            id: 'save',
            isPending: save.isPending,
            disabled: Object.keys(changes).length === 0,
          }}
        />
      </form>
    </Dialog>
  );
}

/** Returns whether a secret for one address is not valid for the other. An unfinished address counts as the same. */
function isOtherAddress(before: string, typed: string): boolean {
  try {
    return originOf(before) !== originOf(typed.trim());
  } catch {
    return false;
  }
}
