import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { activeLeasesQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { counted } from '../../format/numbers.ts';
import { LEASE_KINDS } from '../../format/task-words.ts';
import { Expires } from '../tasks/LeaseClock.tsx';
import styles from '../tasks/Tasks.module.css';

const PAGE_SIZE = 20;
const COLUMNS = [
  { name: 'Task' },
  { name: 'Worker' },
  { name: 'Started' },
  { name: 'Expires' },
  { name: 'Last heartbeat' },
] as const;

/** The tasks that nodes hold leases of. */
export function ActiveLeases() {
  const { data, error, isPending, refetch } = useQuery(activeLeasesQuery);
  const { shown, pager } = usePaged(data ?? [], PAGE_SIZE);
  return (
    <Panel
      title="Active leases"
      note={data !== undefined && data.length > 0 && counted(data.length, 'task')}
      flush
      testId="leases-panel"
    >
      {isPending && <Loading what="the leases" />}
      {data === undefined && error !== null && <Failure what="The leases" error={error} retry={refetch} />}
      {data?.length === 0 && (
        <Empty title="No node has a task" testId="leases-empty">
          A node that takes a task holds its lease, and is listed here until the task ends.
        </Empty>
      )}
      {shown.length > 0 && (
        <Table label="Active leases" columns={COLUMNS} testId="leases-table">
          {shown.map((lease) => (
            <tr key={lease.id} data-testid={`lease-row-${lease.task_id}`}>
              <td>
                <Link
                  to="/runtime/tasks/$taskId"
                  params={{ taskId: lease.task_id }}
                  className={styles.id}
                  data-testid={`lease-task-${lease.task_id}`}
                >
                  {lease.task_id}
                </Link>
              </td>
              <td className={styles.short}>
                {lease.worker_id}
                <span className="second-line">{LEASE_KINDS[lease.kind]}</span>
              </td>
              <td>
                <Ago at={lease.started_at} />
              </td>
              <td>
                <Expires lease={lease} testId={`lease-expires-${lease.task_id}`} />
              </td>
              <td>
                <Ago at={lease.last_heartbeat} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Pager pager={pager} what="active leases" />
    </Panel>
  );
}
