import type { RuntimeHealth } from '../../../../contract/http/api.ts';
import { withBasePath } from '../../api/base-path.ts';
import { Facts } from '../../components/Facts.tsx';
import { Panel } from '../../components/Panel.tsx';
import { absoluteTime, longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';

/** The process, its uptime, and its connection to a remote control plane. */
export function About({ health }: { health: RuntimeHealth }) {
  const now = useNow();
  const startedAt = health.now - health.uptime * 1_000;
  const { membridge } = health;
  return (
    <Panel title={membridge.remote ? 'Runtime' : 'Control plane'} testId="about-panel">
      <Facts
        facts={[
          { name: 'Version', value: health.version, testId: 'about-version' },
          {
            name: 'Uptime',
            value: <span title={`since ${absoluteTime(startedAt)}`}>{longSpan(now - startedAt)}</span>,
            testId: 'about-uptime',
          },
          { name: 'Storage', value: 'PostgreSQL' },
          ...(membridge.remote
            ? [
                {
                  name: 'Control plane',
                  value: membridge.connected
                    ? 'Elsewhere, connected'
                    : `Remote: ${membridge.lastError ?? 'not asked yet'}`,
                  testId: 'about-control-plane',
                },
              ]
            : []),
          {
            name: 'Temporal UI',
            value:
              health.temporal_ui === null ? (
                <span className="dim">address not set (TEMPORAL_UI_URL)</span>
              ) : (
                <a className="link" href={health.temporal_ui} target="_blank" rel="noopener noreferrer">
                  {health.temporal_ui}
                </a>
              ),
          },
          {
            name: 'API',
            value: (
              <a className="link" href={withBasePath('/docs')} target="_blank" rel="noopener">
                {`${window.location.origin}${withBasePath('/docs')}`}
              </a>
            ),
          },
        ]}
      />
    </Panel>
  );
}
