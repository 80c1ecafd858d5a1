import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { keys } from '../../api/keys.ts';
import { enrolledNodesQuery } from '../../api/queries.ts';
import { taskApi } from '../../api/task-calls.ts';
import { activeLeasesQuery } from '../../api/task-queries.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { NodeName } from '../../components/NodeName.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { counted } from '../../format/numbers.ts';
import { compareNames } from '../../format/order.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf, takesTasks } from '../../live/presence.ts';
import { Tags } from '../projects/Tags.tsx';
import tasks from '../tasks/Tasks.module.css';

const PAGE_SIZE = 12;
const COLUMNS = [
  { name: 'Node' },
  { name: 'Slots', align: 'end' },
  { name: 'Labels' },
  { name: 'Actions', quiet: true },
] as const;

/** The nodes that have a program for tasks, how busy they are, and whether they take further tasks. */
export function TaskNodes() {
  const { data, error, isPending, refetch } = useQuery(enrolledNodesQuery);
  const leases = useQuery(activeLeasesQuery).data;
  const now = useNow();
  const runners = (data ?? [])
    .filter(({ capabilities, drained }) => capabilities.claude_cli || drained)
    .toSorted((a, b) => compareNames(a.id, b.id));
  const { shown, pager } = usePaged(runners, PAGE_SIZE);
  const taking = runners.filter((node) => takesTasks(node, now));
  const slots = taking.reduce((sum, { capabilities }) => sum + capabilities.max_concurrency, 0);
  return (
    <Panel
      title="Nodes that run tasks"
      note={
        runners.length > 0 && (
          <span data-testid="slots-note">
            {counted(taking.length, 'node takes', 'nodes take')} tasks, {counted(slots, 'slot')}
          </span>
        )
      }
      flush
      testId="task-nodes-panel"
    >
      {isPending && <Loading what="the nodes" />}
      {data === undefined && error !== null && <Failure what="The nodes" error={error} retry={refetch} />}
      {data !== undefined && runners.length === 0 && (
        <Empty title="No node runs tasks" testId="task-nodes-empty">
          A node runs tasks when its agent finds the program for them. Other programs can lease tasks over
          HTTP.
        </Empty>
      )}
      {shown.length > 0 && (
        <Table label="Nodes that run tasks" columns={COLUMNS} testId="task-nodes-table">
          {shown.map((node) => (
            <NodeRow
              key={node.id}
              node={node}
              // What it reported last, or leases that are newer than that.
              busy={Math.max(
                node.active_leases,
                leases?.filter(({ worker_id }) => worker_id === node.id).length ?? 0,
              )}
            />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="nodes that run tasks" />
    </Panel>
  );
}

function NodeRow({ node, busy }: { node: Node; busy: number }) {
  const now = useNow();
  const { id, drained, capabilities } = node;
  return (
    <tr data-testid={`task-node-${id}`} data-drained={drained}>
      <td>
        <NodeName node={id} presence={presenceOf(node, now)} testId={`task-node-open-${id}`}>
          {drained && <span className="second-line">drained: gets no new tasks</span>}
        </NodeName>
      </td>
      <td data-align="end" className={tasks.short} data-testid={`task-node-slots-${id}`}>
        {busy} of {capabilities.max_concurrency} busy
      </td>
      <td>
        <Tags tags={capabilities.labels} />
      </td>
      <td data-align="end">
        <div className={tasks.actions}>
          <Drain node={node} busy={busy} />
        </div>
      </td>
    </tr>
  );
}

/** Drains a node after asking, or lets it take tasks again. */
function Drain({ node, busy }: { node: Node; busy: number }) {
  const { id, drained } = node;
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const drain = useMutation({
    mutationFn: (on: boolean) => taskApi.drain(id, on),
    onSuccess: (_answer, on) => {
      cache.setQueryData<Node[]>(keys.nodes, (nodes) =>
        nodes?.map((each) => (each.id === id ? { ...each, drained: on } : each)),
      );
    },
    onError: (error) => notifyFailure(`${id} was not ${drained ? 'taken back' : 'drained'}`, error),
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        loading={drain.isPending && !asking}
        onClick={() => (drained ? drain.mutate(false) : setAsking(true))}
        aria-label={drained ? `Have ${id} take tasks again` : `Drain ${id}`}
        title={
          drained ? 'The node gets new tasks again' : 'The node gets no new tasks; running ones continue'
        }
        data-testid={`drain-${id}`}
      >
        {drained ? 'Take tasks again' : 'Drain'}
      </Button>
      <ConfirmDialog
        opened={asking}
        title={`Drain ${id}?`}
        confirm={`Drain ${id}`}
        decline="Leave it"
        busy={drain.isPending}
        onConfirm={() => drain.mutate(true)}
        onCancel={() => setAsking(false)}
      >
        {id} gets no new tasks until you press “Take tasks again”.{' '}
        {busy > 0 && `Its ${counted(busy, 'running task')} ${busy === 1 ? 'continues' : 'continue'}. `}
        Tasks that only this node may run wait.
      </ConfirmDialog>
    </>
  );
}
