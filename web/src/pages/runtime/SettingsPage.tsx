import { useQuery } from '@tanstack/react-query';
import { runtimeConfigQuery } from '../../api/queries.ts';
import { Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { connectionWords } from './connection-words.ts';
import { TaskSchedules } from '../schedules/TaskSchedules.tsx';
import { ProxyForm } from './ProxyForm.tsx';
import { ProxyState } from './ProxyState.tsx';
import styles from './TwoColumn.module.css';
import { RuntimeNav } from './RuntimeNav.tsx';
import { SessionsPanel } from './SessionsPanel.tsx';
import { WebhookPanel } from './WebhookPanel.tsx';
import { TaskSettingsPanel } from './TaskSettingsPanel.tsx';

/** The settings of the runtime: limits of tasks, schedules, and the remote control plane. */
export function SettingsPage() {
  usePageTitle('Runtime settings');
  const { data: config, error, isPending, refetch } = useQuery(runtimeConfigQuery);
  const words = config === undefined ? null : connectionWords(config);
  return (
    <div className="page" data-testid="page-runtime-settings">
      <RuntimeNav />
      <PageHead
        title="Settings"
        note="Limits of tasks, schedules, signed-in browsers, and the control plane that this runtime asks."
      />
      <TaskSettingsPanel />
      <TaskSchedules />
      <WebhookPanel />
      <SessionsPanel />
      <Panel
        title="Membridge proxy"
        note={
          words !== null && (
            <Status tone={words.tone} testId="proxy-status">
              {words.label}
            </Status>
          )
        }
        testId="proxy-panel"
      >
        {config !== undefined && (
          <div className={styles.halves}>
            <ProxyForm config={config} />
            <ProxyState config={config} />
          </div>
        )}
        {config === undefined && error !== null && (
          <Failure what="The settings" error={error} retry={refetch} />
        )}
        {isPending && <Loading what="the settings" />}
      </Panel>
    </div>
  );
}
