import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { IconAdjustmentsHorizontal } from '@tabler/icons-react';
import type { RuntimeStats } from '../../../../contract/api.ts';
import { healthQuery, statsQuery } from '../../api/queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Figures } from '../../components/Figures.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { bytes, count } from '../../format/numbers.ts';
import { About } from './About.tsx';
import { Parts } from './Parts.tsx';
import styles from './RuntimePage.module.css';

/** How the control plane itself is: its figures, the parts it stands on, its version. */
export function RuntimePage() {
  usePageTitle('Runtime');
  const health = useQuery(healthQuery);
  const stats = useQuery(statsQuery);
  return (
    <div className="page" data-testid="page-runtime">
      <PageHead title="Runtime" note="The control plane and the parts it stands on.">
        {health.data !== undefined && (
          <Status tone={health.data.status === 'ok' ? 'good' : 'bad'} testId="runtime-status">
            {health.data.status === 'ok' ? 'All parts work' : 'Degraded'}
          </Status>
        )}
        <Link to="/runtime/settings" className={styles.way} data-testid="runtime-settings-link">
          <IconAdjustmentsHorizontal size={14} aria-hidden />
          Settings
        </Link>
      </PageHead>
      {stats.data !== undefined && <Overview stats={stats.data} />}
      {stats.data === undefined && stats.error !== null && (
        <Failure what="The figures" error={stats.error} retry={stats.refetch} />
      )}
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
      <Panel title="LLM tasks" testId="llm-panel">
        <p className="dim">Leasing of LLM tasks to nodes arrives in a later version.</p>
      </Panel>
    </div>
  );
}

function Overview({ stats }: { stats: RuntimeStats }) {
  const { nodes, jobs } = stats;
  return (
    <Figures
      label="Overview"
      figures={[
        {
          label: 'Nodes online',
          value: `${count(nodes.online)} / ${count(nodes.total)}`,
          testId: 'stat-nodes',
        },
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
