import { useMemo, useState } from 'react';
import type { Job, Space } from '../../../../contract/memory.ts';
import { FilterInput } from '../../components/FilterInput.tsx';
import { Empty } from '../../components/Notice.tsx';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { MemberRow } from './MemberRow.tsx';
import { useNow } from '../../live/clock.ts';
import { inStep, type Member } from './members.ts';

const PAGE_SIZE = 50;
/** From this many nodes on, a filter is worth its place. */
const FILTER_FROM = 12;

const COLUMNS = [
  { name: 'Node' },
  { name: 'Status' },
  { name: 'Last push' },
  { name: 'Last pull' },
  { name: 'Head', align: 'end' },
  { name: 'Sent', align: 'end' },
  { name: 'Received', align: 'end' },
  { name: 'Actions', quiet: true },
] as const;

/** The nodes of a space, each with what it last did there and its buttons. */
export function MemberTable(props: { space: Space; members: readonly Member[]; jobs: readonly Job[] }) {
  const [typed, setTyped] = useState('');
  const text = typed.trim().toLowerCase();
  const found = props.members.filter(({ record }) => record.node_id.toLowerCase().includes(text));
  const { shown, pager } = usePaged(found, PAGE_SIZE);
  const running = useMemo(() => unfinishedByNode(props.jobs), [props.jobs]);
  const { inStep: good, of } = inStep(props.members, props.space, useNow());

  return (
    <Panel
      title="Nodes"
      note={<span data-testid="space-in-step">{`${good} of ${of} in step`}</span>}
      testId="members-panel"
      flush
      actions={
        props.members.length >= FILTER_FROM && (
          <FilterInput
            what="nodes"
            label="Filter the nodes of this space"
            value={typed}
            onChange={setTyped}
            testId="members-filter"
          />
        )
      }
    >
      {props.members.length === 0 ? (
        <Empty title="No node has joined yet" testId="members-empty">
          Add a machine on the Nodes page; it takes part in this space by itself.
        </Empty>
      ) : (
        <Table label="Nodes of this space" columns={COLUMNS} testId="members-table">
          {shown.map((member) => (
            <MemberRow
              key={member.record.node_id}
              space={props.space}
              record={member.record}
              node={member.node}
              unfinished={running.get(member.record.node_id)}
            />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="the nodes of this space" />
    </Panel>
  );
}

/** The newest job of each node that has not finished. */
function unfinishedByNode(jobs: readonly Job[]): Map<string, Job> {
  const found = new Map<string, Job>();
  for (const job of jobs) {
    const unfinished = job.status === 'pending' || job.status === 'running';
    if (unfinished && !found.has(job.agent)) found.set(job.agent, job);
  }
  return found;
}
