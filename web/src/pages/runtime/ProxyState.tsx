import type { RuntimeConfig } from '../../../../contract/runtime-config.ts';
import { Ago } from '../../components/Ago.tsx';
import { Facts } from '../../components/Facts.tsx';
import { Status } from '../../components/Status.tsx';
import { count } from '../../format/numbers.ts';
import { CIRCUITS } from './connection-words.ts';

/** The state of the connection to the control plane. */
export function ProxyState({ config }: { config: RuntimeConfig }) {
  const { connection, last_test: lastTest, last_test_error: testError } = config;
  const circuit = CIRCUITS[connection.circuit];
  const tested = {
    name: 'Last tested',
    value: (
      <>
        <Ago at={lastTest} />
        {lastTest !== null && (testError === null ? ', it succeeded' : `: ${testError}`)}
      </>
    ),
    testId: 'proxy-last-test',
  };
  if (!config.in_use) return <Facts facts={[tested]} />;
  return (
    <Facts
      facts={[
        tested,
        { name: 'Last answer', value: <Ago at={connection.lastSuccess} />, testId: 'proxy-last-success' },
        { name: 'Failures in a row', value: count(connection.consecutiveFailures), testId: 'proxy-failures' },
        {
          name: 'Circuit',
          value: (
            <Status tone={circuit.tone} testId="proxy-circuit">
              {circuit.label}
            </Status>
          ),
        },
        {
          name: 'Last error',
          value: connection.lastError ?? <span className="dim">none</span>,
          testId: 'proxy-last-error',
        },
      ]}
    />
  );
}
