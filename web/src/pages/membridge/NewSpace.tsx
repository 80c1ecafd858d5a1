import { Button, Modal, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconPlus } from '@tabler/icons-react';
import { useState, type FormEvent } from 'react';
import { spaceFacts, type SpaceSummary } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { notifyDone } from '../../components/notify.ts';
import { applyToSpaces } from '../../live/apply-events.ts';
import { CoverageField, useCoverage } from './CoverageField.tsx';
import styles from './Settings.module.css';

/** The form for a new space. */
export function NewSpace({ onCreated }: { onCreated: (cid: string) => void }) {
  const [opened, { open, close }] = useDisclosure();
  const cache = useQueryClient();
  const [name, setName] = useState('');
  const coverage = useCoverage(['*']);
  const { projects } = coverage;

  const create = useMutation({
    mutationFn: api.createSpace,
    onSuccess: (space) => {
      // The live event may have arrived first. Both ways write the same entry, so the space is listed once.
      cache.setQueryData<SpaceSummary[]>(
        keys.spaces,
        (spaces) => spaces && applyToSpaces(spaces, [{ type: 'space', space: spaceFacts(space) }]),
      );
      notifyDone(`Space ${space.name} was created`);
      close();
      setName('');
      coverage.setTyped('');
      onCreated(space.canonical_id);
    },
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ name: name.trim(), projects });
  };

  return (
    <>
      <Button
        variant="default"
        size="xs"
        leftSection={<IconPlus size={14} />}
        onClick={open}
        data-testid="new-space-open"
      >
        New space
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title={<strong>New space</strong>}
        attributes={dialogAttributes('new-space-dialog')}
      >
        <form className={styles.form} onSubmit={submit}>
          <TextInput
            label="Name"
            description="Its canonical id follows from this name, and is the same on every Membridge."
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            required
            maxLength={128}
            spellCheck={false}
            data-autofocus
            data-testid="new-space-name"
          />
          <CoverageField coverage={coverage} prefix="new-space" />
          <FormFooter
            prefix="new-space"
            error={create.error}
            onCancel={close}
            submit={{
              label: 'Create space',
              id: 'create',
              isPending: create.isPending,
              disabled: name.trim() === '' || projects.length === 0,
            }}
          />
        </form>
      </Modal>
    </>
  );
}
