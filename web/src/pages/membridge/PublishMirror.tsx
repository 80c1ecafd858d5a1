import { Button, NumberInput, Switch } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery } from '@tanstack/react-query';
import { IconUpload } from '@tabler/icons-react';
import { useState, type FormEvent } from 'react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { findFieldProblem } from '../../api/problem.ts';
import { leadershipQuery } from '../../api/project-queries.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import styles from './Settings.module.css';

/** Publishes the mirror now, within the loss that a person accepts after reading the last refusal. */
export function PublishMirror({ space }: { space: SpaceFacts }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button
        variant="default"
        size="xs"
        leftSection={<IconUpload size={14} />}
        onClick={open}
        data-testid="mirror-open"
      >
        Publish mirror
      </Button>
      {opened && <PublishDialog space={space} onClose={close} />}
    </>
  );
}

function PublishDialog({ space, onClose }: { space: SpaceFacts; onClose: () => void }) {
  const { data: leadership } = useQuery(leadershipQuery(space.canonical_id));
  const [fewer, setFewer] = useState<number | string>('');
  const [force, setForce] = useState(false);
  const publish = useMutation({
    mutationFn: () =>
      api.publishMirror(space.canonical_id, {
        ...(typeof fewer === 'number' ? { fewer } : {}),
        ...(force ? { force } : {}),
      }),
    onSuccess: ({ node_id }) => {
      notifyDone(`${node_id} publishes the mirror of ${space.name}. Its job shows the result`);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    publish.mutate();
  };
  return (
    <Dialog title={`Publish the mirror of ${space.name}`} testId="mirror-dialog" size="lg" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <p className="dim">
          The primary imports what machines with the original’s scripts pushed, then publishes. These machines
          replace their whole database with the snapshot.
        </p>
        {leadership?.last_error != null && <p data-testid="mirror-last-error">{leadership.last_error}</p>}
        <NumberInput
          label="Memories fewer than before"
          description="Use this only if the last try was refused because the mirror would hold fewer memories. Enter the number from the refusal."
          value={fewer}
          onChange={setFewer}
          min={1}
          allowDecimal={false}
          error={findFieldProblem(publish.error, 'fewer')}
          data-autofocus
          data-testid="mirror-fewer"
        />
        <Switch
          label="Take the push lock"
          description="Use this only if another machine holds the lock and no push is running there."
          checked={force}
          onChange={(event) => setForce(event.currentTarget.checked)}
          data-testid="mirror-force"
        />
        <FormFooter
          prefix="mirror"
          error={publish.error}
          onCancel={onClose}
          submit={{ label: 'Publish', id: 'publish', isPending: publish.isPending, disabled: false }}
        />
      </form>
    </Dialog>
  );
}
