import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import styles from './Settings.module.css';

/** Allows what other nodes, or its own agent, hold back from one node. */
export function AllowHeldBack({ space, node }: { space: SpaceFacts; node: string }) {
  const allow = useMutation({
    mutationFn: () => api.allowDeletions(space.canonical_id, node),
    onSuccess: () => notifyDone(`With its next sync, every node merges what ${node} sent`),
    onError: (error) => notifyFailure('The memories are still held back', error),
  });
  return (
    <fieldset className={styles.group}>
      <legend>Held back</legend>
      <p>
        Other nodes hold back deletions of more than 100 of their memories and more than 2 %, more than 4 GiB
        in two days, and memories with a future date. If {node} sent these on purpose, allow everything that
        it sent until now.
      </p>
      <Button
        variant="default"
        size="xs"
        style={{ justifySelf: 'start' }}
        loading={allow.isPending}
        onClick={() => allow.mutate()}
        data-testid="allow-held-back"
      >
        Allow it
      </Button>
    </fieldset>
  );
}
