import { Switch, Textarea, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import type { UpdateSpace } from '../../../../contract/http/api.ts';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { Dialog } from '../../components/Dialog.tsx';
import { CoverageField, useCoverage } from './CoverageField.tsx';
import { parseNames } from './project-lines.ts';
import styles from './Settings.module.css';
import { useSaveSpace } from './use-save-space.ts';

const REDACTION = 'Each machine replaces keys, tokens and passwords before it sends anything.';
const ENCRYPTION =
  'From now on, only nodes that are enrolled when a memory is sent can read it. The object store and this page cannot. ' +
  'Older objects stay as they are, and a node that joins later cannot read what was encrypted before.';

const MIRROR = 'The primary publishes the original’s snapshot for machines that still use its scripts.';
const NO_MIRROR = 'Not available in an encrypted space: anybody who reaches the store can read the snapshot.';

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
      excluded: parseNames(excluded),
      redact,
      encrypted,
      mirror: mirror && !encrypted,
      aliases: parseNames(aliases),
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
          description="A new name gives the space a new canonical id. The former id stays valid for memory and scripts."
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
          description="Projects that are not sent, one a line. Other nodes keep what they received before."
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
          label="Remove secrets"
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
          description="Former canonical ids of this space, one a line. Nodes read objects under them, and never write there."
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
