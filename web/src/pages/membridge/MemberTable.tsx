import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useMemo, useState } from 'react';
import type {
  Job,
  ListMembers,
  MemberCounts,
  SpaceNode,
  SpaceSummary,
} from '../../../../contract/memory/memory.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { membersQuery } from '../../api/queries.ts';
import { FilterInput } from '../../components/FilterInput.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Pager, makePagerProps } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { SPACE_NODE_STATUSES } from '../../format/words.ts';
import { MemberRow } from './MemberRow.tsx';

const PAGE_SIZE = 50;
/** The number of nodes from which a filter is shown. */
const FILTER_FROM = 12;
const ANY = '';

const STATUSES = Object.entries(SPACE_NODE_STATUSES).map(([value, { label }]) => ({ value, label }));
const ORDERS: { value: ListMembers['sort']; label: string }[] = [
  { value: 'node', label: 'By name' },
  { value: 'status', label: 'Worst first' },
  { value: 'last_pull', label: 'Oldest pull first' },
];

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

/** The nodes of a space, each with its last round and its buttons; the server filters and sorts them. */
export function MemberTable(props: {
  space: SpaceSummary;
  /** For heartbeats newer than the members' own; undefined while the fleet is loading. */
  fleet: readonly Node[] | undefined;
  jobs: readonly Job[];
}) {
  const { space } = props;
  const [typed, setTyped] = useState('');
  const [status, setStatus] = useState<SpaceNode['status'] | undefined>();
  const [sort, setSort] = useState<ListMembers['sort']>('node');
  const [page, setPage] = useState(0);
  const text = useDeferredValue(typed).trim();
  const filter = { q: text, status, sort, limit: PAGE_SIZE, offset: page * PAGE_SIZE };
  const members = useQuery(membersQuery(space.canonical_id, filter));
  const running = useMemo(() => unfinishedByNode(props.jobs), [props.jobs]);
  const heard = useMemo(
    () => new Map((props.fleet ?? []).map(({ id, last_heartbeat }) => [id, last_heartbeat])),
    [props.fleet],
  );
  const pager = makePagerProps({ page, setPage, size: PAGE_SIZE, total: members.data?.total ?? 0 });
  const counts = members.data?.members ?? space.members;
  const rows = members.data?.rows;
  // Nodes were removed since: the requested page is beyond the end.
  if (members.isSuccess && !members.isPlaceholderData && pager.page !== page) setPage(pager.page);
  const first =
    <T,>(set: (value: T) => void) =>
    (value: T) => {
      set(value);
      setPage(0);
    };

  return (
    <Panel
      title="Nodes"
      note={<span data-testid="space-in-step">{inStepWords(counts)}</span>}
      testId="members-panel"
      flush
      actions={
        counts.enrolled >= FILTER_FROM && (
          <>
            <Select
              size="xs"
              w={150}
              aria-label="Show nodes"
              data={[{ value: ANY, label: 'Every status' }, ...STATUSES]}
              value={status ?? ANY}
              onChange={first((value) => setStatus((value || undefined) as SpaceNode['status'] | undefined))}
              allowDeselect={false}
              data-testid="members-status"
            />
            <Select
              size="xs"
              w={150}
              aria-label="Order of the nodes"
              data={ORDERS}
              value={sort}
              onChange={first((value) => setSort(value as ListMembers['sort']))}
              allowDeselect={false}
              data-testid="members-sort"
            />
            <FilterInput
              what="nodes"
              label="Filter the nodes of this space"
              value={typed}
              onChange={first(setTyped)}
              testId="members-filter"
            />
          </>
        )
      }
    >
      {members.isPending && <Loading what="the nodes of this space" />}
      {rows === undefined && members.error !== null && (
        <Failure what="The nodes of this space" error={members.error} retry={members.refetch} />
      )}
      {rows?.length === 0 &&
        (text === '' && status === undefined ? (
          <Empty title="No node has joined yet" testId="members-empty">
            Add a machine on the Nodes page. It joins this space automatically.
          </Empty>
        ) : (
          <Empty title="No node matches" testId="members-no-match">
            None of the {counts.enrolled} nodes matches. Change or clear a filter.
          </Empty>
        ))}
      {rows !== undefined && rows.length > 0 && (
        <Table label="Nodes of this space" columns={COLUMNS} testId="members-table">
          {rows.map((member) => (
            <MemberRow
              key={member.record.node_id}
              space={space}
              member={member}
              heardAt={heard.get(member.record.node_id) ?? member.last_heartbeat}
              unfinished={running.get(member.record.node_id)}
            />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="the nodes of this space" />
    </Panel>
  );
}

const inStepWords = (counts: MemberCounts): string => `${counts['in-step']} of ${counts.enrolled} in step`;

/** Returns the newest unfinished job of each node. */
function unfinishedByNode(jobs: readonly Job[]): Map<string, Job> {
  const found = new Map<string, Job>();
  for (const job of jobs) {
    const unfinished = job.status === 'pending' || job.status === 'running';
    if (unfinished && !found.has(job.agent)) found.set(job.agent, job);
  }
  return found;
}
