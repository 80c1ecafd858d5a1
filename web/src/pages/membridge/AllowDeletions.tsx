import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { Space } from '../../../../contract/memory.ts';
import { api } from '../../api/calls.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import styles from './Settings.module.css';

/** Lets deletions of one node through that other nodes, or its own agent, hold back. */
export function AllowDeletions({ space, node }: { space: Space; node: string }) {
  const allow = useMutation({
    mutationFn: () => api.allowDeletions(space.canonical_id, node),
    onSuccess: () => notifyDone(`Every node merges the deletions by ${node} with its next sync`),
    onError: (error) => notifyFailure('The deletions are still held back', error),
  });
  return (
    <fieldset className={styles.group}>
      <legend>Deletions</legend>
      <p>
        Nodes hold back what deletes more than 100 of their memories, and more than 2 %, within two days. If{' '}
        {node} deleted them on purpose, let through what it sent until now.
      </p>
      <Button
        variant="default"
        size="xs"
        loading={allow.isPending}
        onClick={() => allow.mutate()}
        data-testid="allow-deletions"
      >
        Let its deletions through
      </Button>
    </fieldset>
  );
}
