import { Button, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { memo, useMemo, useState } from 'react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { JOBS_SHOWN } from '../../api/calls.ts';
import { jobsQuery } from '../../api/queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { JobRow } from './JobRow.tsx';
import { RowsChart } from './RowsChart.tsx';

const JOBS_PER_STEP = 25;
const EVERY_NODE = '';

const COLUMNS = [
  { name: 'Time' },
  { name: 'Node' },
  { name: 'Action' },
  { name: 'Status' },
  { name: 'Detail' },
  { name: 'Rows', align: 'end' },
  { name: 'Moved', align: 'end' },
  { name: 'Took', align: 'end' },
  { name: 'History', quiet: true },
] as const;

/** The syncs of a space, newest first, or of one node in it. */
export const JobHistory = memo(function JobHistory(props: {
  space: SpaceFacts;
  nodes: readonly string[];
  node: string | null;
  onNode: (id: string | null) => void;
}) {
  const jobs = useQuery(jobsQuery(props.space, props.node));
  const [length, setLength] = useState(JOBS_PER_STEP);
  const choices = useMemo(
    () => [
      { value: EVERY_NODE, label: 'Every node' },
      ...props.nodes.map((id) => ({ value: id, label: id })),
    ],
    [props.nodes],
  );
  const all = jobs.data ?? [];
  const shown = all.slice(0, length);

  return (
    <Panel
      title="Job history"
      testId="jobs-panel"
      flush
      actions={
        <>
          <RowsChart jobs={all} />
          <Select
            size="xs"
            w={180}
            aria-label="Jobs of"
            data={choices}
            value={props.node ?? EVERY_NODE}
            onChange={(value) => props.onNode(value === null || value === EVERY_NODE ? null : value)}
            allowDeselect={false}
            searchable={props.nodes.length > 12}
            limit={100}
            data-testid="jobs-node-filter"
          />
        </>
      }
    >
      {jobs.isPending && <Loading what="the jobs" />}
      {jobs.data === undefined && jobs.error !== null && (
        <Failure what="The jobs" error={jobs.error} retry={jobs.refetch} />
      )}
      {jobs.data?.length === 0 && (
        <Empty title="No job yet" testId="jobs-empty">
          This list shows every sync that moves rows, fails, or was requested by a person.
        </Empty>
      )}
      {shown.length > 0 && (
        <Table label="Jobs" columns={COLUMNS} testId="jobs-table">
          {shown.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </Table>
      )}
      {all.length > length && (
        <Button
          variant="subtle"
          color="gray"
          fullWidth
          onClick={() => setLength(length + JOBS_PER_STEP)}
          data-testid="jobs-more"
        >
          Show older jobs
        </Button>
      )}
      {all.length >= JOBS_SHOWN && length >= JOBS_SHOWN && (
        <Empty title="Older jobs are not shown" testId="jobs-end">
          This list shows the newest {JOBS_SHOWN} jobs. Temporal keeps the histories of older ones.
        </Empty>
      )}
    </Panel>
  );
});
