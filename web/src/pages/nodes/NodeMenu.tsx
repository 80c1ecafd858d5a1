import { ActionIcon, Menu } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconDots, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';

/** The actions on a node. */
export function NodeMenu({ node }: { node: Node }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.removeNode(node.id),
    onSuccess: () => {
      cache.setQueryData<Node[]>(keys.nodes, (nodes) => nodes?.filter(({ id }) => id !== node.id));
      notifyDone(`${node.id} was removed`);
    },
    onError: (error) => notifyFailure(`${node.id} was not removed`, error),
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <Menu>
        <Menu.Target>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Actions for ${node.id}`}
            data-testid={`node-menu-${node.id}`}
          >
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            className="danger"
            leftSection={<IconTrash size={14} />}
            onClick={() => setAsking(true)}
            data-testid={`node-remove-${node.id}`}
          >
            Remove node…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <ConfirmDialog
        opened={asking}
        title={`Remove ${node.id}?`}
        confirm={`Remove ${node.id}`}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onCancel={() => setAsking(false)}
      >
        Its key stops working immediately, and it leaves every space. Its own claude-mem database is not
        touched. To return it needs a new token.
      </ConfirmDialog>
    </>
  );
}
