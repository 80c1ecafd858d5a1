import { Menu } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import type { SpaceFacts, SpaceSummary } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { MoreMenu } from '../../components/MoreMenu.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';

/** The space's menu; deleting asks first and says what stays. */
export function DeleteSpace({ space, onDeleted }: { space: SpaceFacts; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.deleteSpace(space.canonical_id),
    onSuccess: () => {
      onDeleted();
      cache.setQueryData<SpaceSummary[]>(keys.spaces, (spaces) =>
        spaces?.filter(({ canonical_id }) => canonical_id !== space.canonical_id),
      );
      notifyDone(`Space ${space.name} was deleted`);
    },
    onError: (error) => notifyFailure(`Space ${space.name} was not deleted`, error),
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <MoreMenu of={space.name} testId="space-menu">
        <Menu.Item
          className="danger"
          leftSection={<IconTrash size={14} />}
          onClick={() => setAsking(true)}
          data-testid="space-delete"
        >
          Delete space…
        </Menu.Item>
      </MoreMenu>
      <ConfirmDialog
        opened={asking}
        title={`Delete ${space.name}?`}
        confirm={`Delete ${space.name}`}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onCancel={() => setAsking(false)}
      >
        Its nodes stop syncing it. Objects in the store stay, and so does every claude-mem database. A new
        space with the same name continues with them.
      </ConfirmDialog>
    </>
  );
}
