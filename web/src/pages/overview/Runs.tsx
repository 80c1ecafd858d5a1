import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Run } from '../../../../contract/tasks/leases.ts';
import { runsQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { Table } from '../../components/Table.tsx';
import { LEASE_STATUSES } from '../../format/task-words.ts';
import { duration } from '../../format/time.ts';
import type { Words } from '../../format/words.ts';
import styles from '../tasks/Tasks.module.css';

const COLUMNS = [
  { name: 'Task' },
  { name: 'Agent' },
  { name: 'Worker' },
  { name: 'Outcome' },
  { name: 'Took', align: 'end' },
  { name: 'Started' },
] as const;

/** The newest attempts, and their results. */
export function Runs() {
  const { data, error, isPending, refetch } = useQuery(runsQuery);
  return (
    <Panel title="Newest runs" flush testId="runs-panel">
      {isPending && <Loading what="the runs" />}
      {data === undefined && error !== null && <Failure what="The runs" error={error} retry={refetch} />}
      {data?.length === 0 && (
        <Empty title="No attempt yet" testId="runs-empty">
          This list shows every attempt of a node at a task. Make a task to start one.
        </Empty>
      )}
      {data !== undefined && data.length > 0 && (
        <Table label="Newest runs" columns={COLUMNS} testId="runs-table">
          {data.map((run) => (
            <RunRow key={run.lease.id} run={run} />
          ))}
        </Table>
      )}
    </Panel>
  );
}

function RunRow({ run }: { run: Run }) {
  const { lease, result } = run;
  const { label, tone } = describeOutcome(run);
  const took = result?.metrics.duration_ms ?? 0;
  const lasted = lease.ended_at === null ? null : lease.ended_at - lease.started_at;
  const ms = took > 0 ? took : lasted;
  return (
    <tr data-testid={`run-row-${lease.task_id}-${lease.epoch}`}>
      <td>
        <Link to="/runtime/tasks/$taskId" params={{ taskId: lease.task_id }} className={styles.id}>
          {lease.task_id}
        </Link>
      </td>
      <td>
        <div className={styles.agent} title={run.agent_slug}>
          {run.agent_slug}
        </div>
      </td>
      <td className={styles.short}>{lease.worker_id}</td>
      <td>
        <Status tone={tone}>{label}</Status>
      </td>
      <td data-align="end" className={styles.short}>
        {ms === null ? <span className="dim">–</span> : duration(ms)}
      </td>
      <td>
        <Ago at={lease.started_at} />
      </td>
    </tr>
  );
}

function describeOutcome({ lease, result }: Run): Words {
  if (result !== null) {
    return result.status === 'success'
      ? { label: 'Completed', tone: 'good' }
      : { label: 'Failed', tone: 'bad' };
  }
  return LEASE_STATUSES[lease.status];
}
