import { ActionIcon, NumberInput, Popover } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconChevronDown, IconDownload, IconEye, IconShare2, IconX } from '@tabler/icons-react';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectNodeStatus, ProjectSummary } from '../../../../contract/projects/projects.ts';
import { projectApi, type Reach } from '../../api/project-calls.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { counted } from '../../format/numbers.ts';
import { hasClone } from '../../format/project-words.ts';
import { CONCURRENCY } from './concurrency.ts';
import styles from './ProjectPage.module.css';

/** The actions on the whole project; with nodes selected in the table, only on those. */
export function ProjectActions(props: {
  project: ProjectSummary;
  clones: readonly ProjectNodeStatus[];
  fleet: readonly Node[];
  chosen: readonly string[];
}) {
  const { project, fleet, chosen } = props;
  const [concurrency, setConcurrency] = useState<number | string>(CONCURRENCY);
  const primary = project.primary_node_id;
  const reach: Reach = {
    nodes: chosen.length === 0 ? null : chosen,
    concurrency: Math.min(64, Math.max(1, Number(concurrency) || CONCURRENCY)),
  };
  const where = chosen.length === 0 ? '' : ` to ${counted(chosen.length, 'node')}`;
  const clones = props.clones.filter(
    (clone) => clone.clone_status === 'cloned' && (chosen.length === 0 || chosen.includes(clone.node_id)),
  );
  const busy =
    project.clones.pending + project.clones.cloning > 0 ||
    project.propagation?.state === 'running' ||
    project.propagation?.state === 'waiting';

  const clone = useMutation({
    mutationFn: (node: string) => projectApi.clone(project.id, node),
    onError: (error) => notifyFailure(`${project.name} is not being cloned`, error),
  });
  const propagate = useMutation({
    mutationFn: () => projectApi.propagate(project.id, reach),
    onSuccess: ({ status }) => {
      if (status === 'nothing_to_propagate') notifyDone('Nothing to propagate', 'No node has joined yet.');
    },
    onError: (error) => notifyFailure(`${project.name} is not being propagated`, error),
  });
  const look = useMutation({
    mutationFn: () => projectApi.fetch(project.id, reach),
    onSuccess: () => notifyDone(`${counted(clones.length, 'clone')} asked to fetch from the remote`),
    onError: (error) => notifyFailure(`The clones of ${project.name} were not asked to fetch`, error),
  });
  const cancel = useMutation({
    mutationFn: () => projectApi.cancel(project.id, null),
    onError: (error) => notifyFailure(`Running work for ${project.name} was not cancelled`, error),
  });

  return (
    <>
      {busy && (
        <ActionButton
          variant="default"
          leftSection={<IconX size={15} />}
          reason={null}
          help="Cancel everything that is running for this project"
          loading={cancel.isPending}
          onPress={() => cancel.mutate()}
          testId="project-cancel"
        >
          Cancel all
        </ActionButton>
      )}
      <ActionButton
        variant="default"
        leftSection={<IconEye size={15} />}
        reason={
          clones.length > 0
            ? null
            : chosen.length === 0
              ? 'No node has a clone yet'
              : 'None of the chosen nodes has a clone'
        }
        help="Fetch on every node that has a clone; local files do not change"
        loading={look.isPending}
        onPress={() => look.mutate()}
        testId="project-fetch"
      >
        Fetch
      </ActionButton>
      <ActionButton
        variant="default"
        leftSection={<IconDownload size={15} />}
        reason={explainNotPrimary(project, fleet)}
        help={`Clone it on ${primary ?? ''}, or update the clone there`}
        loading={clone.isPending}
        onPress={() => {
          if (primary !== null) clone.mutate(primary);
        }}
        testId="project-clone"
      >
        {props.clones.some((row) => row.node_id === primary && hasClone(row))
          ? 'Update on primary'
          : 'Clone on primary'}
      </ActionButton>
      <span className={styles.joined}>
        <ActionButton
          leftSection={<IconShare2 size={15} />}
          reason={fleet.length === 0 ? 'No node has joined yet' : null}
          help={
            chosen.length === 0
              ? 'Clone it on every node, or update the clones'
              : 'Clone it on the chosen nodes, or update their clones'
          }
          loading={propagate.isPending}
          onPress={() => propagate.mutate()}
          testId="project-propagate"
        >
          {`Propagate${where}`}
        </ActionButton>
        <Concurrency value={concurrency} onChange={setConcurrency} />
      </span>
    </>
  );
}

function explainNotPrimary({ primary_node_id }: ProjectSummary, fleet: readonly Node[]): string | null {
  if (primary_node_id === null) return 'It has no primary node: choose one under Edit';
  if (fleet.some(({ id }) => id === primary_node_id)) return null;
  return `${primary_node_id} is no longer enrolled: choose another primary under Edit`;
}

function Concurrency(props: { value: number | string; onChange: (value: number | string) => void }) {
  return (
    <Popover position="bottom-end" trapFocus withRoles portalProps={{ target: '#main' }}>
      <Popover.Target>
        <ActionIcon
          size={36}
          aria-label="How to propagate"
          title="How to propagate"
          data-testid="propagate-advanced"
        >
          <IconChevronDown size={15} />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label="How to propagate">
        <NumberInput
          label="Concurrency"
          description="Nodes running at the same time (1–64). Offline nodes do not count."
          value={props.value}
          onChange={props.onChange}
          min={1}
          max={64}
          allowDecimal={false}
          clampBehavior="blur"
          w={200}
          data-testid="propagate-concurrency"
        />
      </Popover.Dropdown>
    </Popover>
  );
}
