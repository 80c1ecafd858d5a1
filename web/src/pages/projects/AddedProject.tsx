import { Button, Group, Select } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectFacts } from '../../../../contract/projects/projects.ts';
import { projectApi } from '../../api/project-calls.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { counted } from '../../format/numbers.ts';
import { compareNames } from '../../format/order.ts';
import { serverNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { CONCURRENCY } from './concurrency.ts';
import styles from './Forms.module.css';

/** The first steps of a new project: nothing is cloned until a person starts it, here or later. */
export function AddedProject(props: { project: ProjectFacts; fleet: readonly Node[]; onClose: () => void }) {
  const { project, fleet } = props;
  const navigate = useNavigate();
  const names = fleet.map(({ id }) => id).sort(compareNames);
  const online = names.find((id) =>
    fleet.some((node) => node.id === id && presenceOf(node, serverNow()) === 'online'),
  );
  const [node, setNode] = useState(project.primary_node_id ?? online ?? names[0] ?? null);
  const open = () => {
    props.onClose();
    void navigate({ to: '/membridge/projects/$project', params: { project: project.id } });
  };
  const ask = useMutation({
    mutationFn: async (where: 'one' | 'all') => {
      if (where === 'one') await projectApi.clone(project.id, node ?? '');
      else await projectApi.propagate(project.id, { nodes: null, concurrency: CONCURRENCY });
    },
    onSuccess: open,
    onError: (error) => notifyFailure(`${project.name} is not being cloned`, error),
  });
  const nobody = names.length === 0 ? 'No node has joined yet' : null;

  return (
    <div className={styles.done} data-testid="added-project">
      <p className="dim">
        Nothing is cloned yet. Start with one node, or with every node; an offline node clones when it
        returns.
      </p>
      <Select
        label={project.primary_node_id === null ? 'First node (becomes the primary)' : 'First node'}
        data={names}
        value={node}
        onChange={setNode}
        allowDeselect={false}
        searchable={names.length > 12}
        limit={100}
        data-testid="added-node"
      />
      <Group justify="flex-end" gap="xs">
        <Button variant="subtle" color="gray" onClick={open} data-testid="added-open">
          Not now
        </Button>
        <ActionButton
          variant="default"
          reason={nobody}
          loading={ask.isPending && ask.variables === 'all'}
          onPress={() => ask.mutate('all')}
          testId="added-propagate"
        >
          {nobody === null ? `Propagate to ${counted(names.length, 'node')}` : 'Propagate to all'}
        </ActionButton>
        <ActionButton
          reason={nobody}
          loading={ask.isPending && ask.variables === 'one'}
          onPress={() => ask.mutate('one')}
          testId="added-clone"
        >
          {node === null ? 'Clone on primary' : `Clone on ${node}`}
        </ActionButton>
      </Group>
    </div>
  );
}
