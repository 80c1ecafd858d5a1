import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { IconArrowLeft } from '@tabler/icons-react';
import { runtimeConfigQuery } from '../../api/queries.ts';
import { Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { connectionWords } from './connection-words.ts';
import { ProxyForm } from './ProxyForm.tsx';
import { ProxyState } from './ProxyState.tsx';
import styles from './RuntimePage.module.css';

/** Settings of the runtime: the control plane that it asks. */
export function SettingsPage() {
  usePageTitle('Runtime settings');
  const { data: config, error, isPending, refetch } = useQuery(runtimeConfigQuery);
  const words = config === undefined ? null : connectionWords(config);
  return (
    <div className="page" data-testid="page-runtime-settings">
      <PageHead title="Runtime settings" note="Which control plane this runtime asks.">
        <Link to="/runtime" className={styles.way} data-testid="runtime-back">
          <IconArrowLeft size={14} aria-hidden />
          Runtime
        </Link>
      </PageHead>
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
