import { Switch, Textarea, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import type { UpdateSpace } from '../../../../contract/http/api.ts';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { Dialog } from '../../components/Dialog.tsx';
import { CoverageField, useCoverage } from './CoverageField.tsx';
import { namesIn } from './project-lines.ts';
import styles from './Settings.module.css';
import { useSaveSpace } from './use-save-space.ts';

const REDACTION = 'Keys, tokens and passwords are replaced on each machine before anything leaves it.';
const ENCRYPTION =
  'What is sent from now on can be read by the nodes that are enrolled then, not by the object store or by this page. ' +
  'What was stored before stays as it is, and a node that joins later cannot read what was encrypted before.';

const MIRROR =
  'Publish the original’s snapshot for machines still on its scripts: the primary writes it, and they read it.';
const NO_MIRROR =
  'Not for an encrypted space: the snapshot is a whole database that anybody who reaches the store can read.';

/** The form for a space's settings. */
export function EditSpace(props: {
  space: SpaceFacts;
  onClose: () => void;
  onSaved: (saved: SpaceFacts) => void;
}) {
  const { space } = props;
  const [name, setName] = useState(space.name);
  const coverage = useCoverage(space.projects);
  const [excluded, setExcluded] = useState(space.excluded.join('\n'));
  const [redact, setRedact] = useState(space.redact);
  const [encrypted, setEncrypted] = useState(space.encrypted);
  const [mirror, setMirror] = useState(space.mirror);
  const [aliases, setAliases] = useState(space.aliases.join('\n'));
  const save = useSaveSpace(space, {
    save: (update: UpdateSpace) => api.updateSpace(space.canonical_id, update),
    done: `Settings of ${name.trim()} were saved`,
    after: props.onSaved,
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({
      ...(name.trim() === space.name ? {} : { name: name.trim() }),
      projects: coverage.projects,
      excluded: namesIn(excluded),
      redact,
      encrypted,
      mirror: mirror && !encrypted,
      aliases: namesIn(aliases),
    });
  };

  return (
    <Dialog
      title={`Settings of ${space.name}`}
      testId="space-settings-dialog"
      size="lg"
      onClose={props.onClose}
    >
      <form className={styles.form} onSubmit={submit}>
        <TextInput
          label="Name"
          description="A new name gives the space a new canonical id. The present one stays as an older id: memory and scripts go on."
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          maxLength={128}
          spellCheck={false}
          data-testid="edit-space-name"
        />
        <CoverageField coverage={coverage} prefix="edit-space" />
        <Textarea
          label="Never sent"
          description="Projects that stay on their machines, one a line. What was sent before stays with the others."
          value={excluded}
          onChange={(event) => setExcluded(event.currentTarget.value)}
          autosize
          minRows={2}
          maxRows={8}
          spellCheck={false}
          classNames={{ input: 'mono' }}
          data-autofocus
          data-testid="edit-space-excluded"
        />
        <Switch
          label="Take secrets out"
          description={REDACTION}
          checked={redact}
          onChange={(event) => setRedact(event.currentTarget.checked)}
          data-testid="edit-space-redact"
        />
        <Switch
          label="Encrypt"
          description={ENCRYPTION}
          checked={encrypted}
          onChange={(event) => setEncrypted(event.currentTarget.checked)}
          data-testid="edit-space-encrypted"
        />
        <Switch
          label="Mirror"
          description={encrypted ? NO_MIRROR : MIRROR}
          checked={mirror && !encrypted}
          disabled={encrypted}
          onChange={(event) => setMirror(event.currentTarget.checked)}
          data-testid="edit-space-mirror"
        />
        <Textarea
          label="Older ids"
          description="Canonical ids that this space had, one a line. What lies under them is read, never written."
          value={aliases}
          onChange={(event) => setAliases(event.currentTarget.value)}
          autosize
          minRows={1}
          maxRows={4}
          spellCheck={false}
          classNames={{ input: 'mono' }}
          data-testid="edit-space-aliases"
        />
        <FormFooter
          prefix="edit-space"
          error={save.error}
          onCancel={props.onClose}
          submit={{
            label: 'Save',
            id: 'save',
            isPending: save.isPending,
            disabled: name.trim() === '' || coverage.projects.length === 0,
          }}
        />
      </form>
    </Dialog>
  );
}
