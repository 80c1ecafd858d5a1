import { useQuery } from '@tanstack/react-query';
import type { RuntimeStats } from '../../../../contract/http/api.ts';
import { healthQuery, nodesQuery, statsQuery } from '../../api/queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Figures } from '../../components/Figures.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { bytes, count, counted } from '../../format/numbers.ts';
import { formatUsd } from '../../format/task-words.ts';
import { useNow } from '../../live/clock.ts';
import { takesTasks } from '../../live/presence.ts';
import { About } from '../runtime/About.tsx';
import { Parts } from '../runtime/Parts.tsx';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import styles from '../runtime/TwoColumn.module.css';
import { ActiveLeases } from './ActiveLeases.tsx';
import { Runs } from './Runs.tsx';
import { TaskNodes } from './TaskNodes.tsx';

/** Tasks, the nodes that run them, and the health of the control plane. */
export function OverviewPage() {
  usePageTitle('Overview');
  const health = useQuery(healthQuery);
  const stats = useQuery(statsQuery);
  return (
    <div className="page" data-testid="page-runtime">
      <RuntimeNav />
      <PageHead
        title="Overview"
        note="Running tasks, and the health of the parts that the control plane depends on."
      >
        {health.data !== undefined && (
          <Status tone={health.data.status === 'ok' ? 'good' : 'bad'} testId="runtime-status">
            {health.data.status === 'ok' ? 'All parts work' : 'Degraded'}
          </Status>
        )}
      </PageHead>
      {stats.data !== undefined && <TaskFigures stats={stats.data} />}
      {stats.data === undefined && stats.error !== null && (
        <Failure what="The figures" error={stats.error} retry={stats.refetch} />
      )}
      <ActiveLeases />
      <div className={styles.halves}>
        <Runs />
        <TaskNodes />
      </div>
      <h2>Memory sync</h2>
      {stats.data !== undefined && <MemoryFigures stats={stats.data} />}
      <div className={styles.halves}>
        <Panel
          title="Parts"
          note={
            health.data !== undefined && (
              <>
                checked <Ago at={health.data.now} />
              </>
            )
          }
          testId="parts-panel"
          flush
        >
          {health.data !== undefined && <Parts parts={health.data.parts} />}
          {health.data === undefined && health.error !== null && (
            <Failure what="The health of the parts" error={health.error} retry={health.refetch} />
          )}
          {health.isPending && <Loading what="the parts" />}
        </Panel>
        {health.data !== undefined && <About health={health.data} />}
      </div>
    </div>
  );
}

function TaskFigures({ stats: { nodes, tasks, leases } }: { stats: RuntimeStats }) {
  const fleet = useQuery(nodesQuery).data ?? [];
  const now = useNow();
  const slots = fleet
    .filter((node) => takesTasks(node, now))
    .reduce((sum, { capabilities }) => sum + capabilities.max_concurrency, 0);
  const of = (...statuses: string[]): number =>
    statuses.reduce((sum, status) => sum + (tasks.by_status[status] ?? 0), 0);
  const given = of('leased', 'running');
  return (
    <Figures
      label="Tasks"
      figures={[
        {
          label: 'Nodes online',
          value: `${count(nodes.online)} / ${count(nodes.total)}`,
          note: slots === 0 ? 'none takes tasks' : `${counted(slots, 'slot')} for tasks`,
          testId: 'stat-nodes',
        },
        { label: 'Active leases', value: count(leases.active), testId: 'stat-leases' },
        {
          label: 'Queued',
          value: count(of('queued')),
          note: given === 0 ? 'none on a node' : `${count(given)} on a node`,
          testId: 'stat-queued',
        },
        {
          label: 'Completed, 24 h',
          value: count(tasks.completed_24h),
          note: tasks.failed_24h === 0 ? 'none failed' : `${count(tasks.failed_24h)} failed`,
          testId: 'stat-completed',
        },
        { label: 'Cost, 24 h', value: formatUsd(tasks.cost_usd_24h), testId: 'stat-cost' },
        {
          label: 'Tasks in all',
          value: count(tasks.total),
          note: `${count(of('failed', 'dead'))} to requeue or leave`,
          testId: 'stat-tasks',
        },
      ]}
    />
  );
}

function MemoryFigures({ stats }: { stats: RuntimeStats }) {
  const { jobs } = stats;
  return (
    <Figures
      label="Memory"
      figures={[
        { label: 'Spaces', value: count(stats.spaces), testId: 'stat-spaces' },
        { label: 'Running jobs', value: count(jobs.running), testId: 'stat-running' },
        {
          label: 'Jobs, last 24 h',
          value: count(jobs.last_24h),
          note: jobs.failed_24h === 0 ? 'none failed' : `${count(jobs.failed_24h)} failed`,
          testId: 'stat-jobs',
        },
        { label: 'Rows synced, 24 h', value: count(stats.rows_synced_24h), testId: 'stat-rows' },
        { label: 'Moved, 24 h', value: bytes(stats.bytes_synced_24h), testId: 'stat-bytes' },
      ]}
    />
  );
}
