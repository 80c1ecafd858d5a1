import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import styles from './Settings.module.css';

/** Lets through what other nodes, or its own agent, hold back of one node. */
export function AllowHeldBack({ space, node }: { space: SpaceFacts; node: string }) {
  const allow = useMutation({
    mutationFn: () => api.allowDeletions(space.canonical_id, node),
    onSuccess: () => notifyDone(`Every node merges what ${node} sent with its next sync`),
    onError: (error) => notifyFailure('It is still held back', error),
  });
  return (
    <fieldset className={styles.group}>
      <legend>Held back</legend>
      <p>
        Other nodes hold back what deletes more than 100 of their memories and more than 2 %, what is part of
        more than 4 GiB in two days, and memories that are dated in the future. If {node} meant it, let
        through what it sent until now.
      </p>
      <Button
        variant="default"
        size="xs"
        style={{ justifySelf: 'start' }}
        loading={allow.isPending}
        onClick={() => allow.mutate()}
        data-testid="allow-held-back"
      >
        Let it through
      </Button>
    </fieldset>
  );
}
