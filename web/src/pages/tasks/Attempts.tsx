import type { UseQueryResult } from '@tanstack/react-query';
import type { Lease, TaskResult } from '../../../../contract/tasks/leases.ts';
import { Ago } from '../../components/Ago.tsx';
import { Failure } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { Table } from '../../components/Table.tsx';
import { count, counted } from '../../format/numbers.ts';
import { LEASE_KINDS, LEASE_STATUSES, formatUsd } from '../../format/task-words.ts';
import { duration } from '../../format/time.ts';
import { Expires } from './LeaseClock.tsx';
import styles from './TaskPage.module.css';

const COLUMNS = [
  { name: 'Epoch' },
  { name: 'Worker' },
  { name: 'Started' },
  { name: 'How it ended' },
  { name: 'Took', align: 'end' },
  { name: 'Tokens', align: 'end' },
  { name: 'Cost', align: 'end' },
] as const;

/** Every lease of a task with its result, newest first. */
export function Attempts(props: { leases: UseQueryResult<Lease[]>; results: readonly TaskResult[] }) {
  const { leases, results } = props;
  if (leases.data === undefined) {
    if (leases.error === null) return null;
    return (
      <Panel title="Attempts" testId="attempts-panel">
        <Failure what="The attempts" error={leases.error} retry={leases.refetch} />
      </Panel>
    );
  }
  if (leases.data.length === 0) return null;
  return (
    <Panel title="Attempts" note={counted(leases.data.length, 'lease')} flush testId="attempts-panel">
      <Table label="Attempts" columns={COLUMNS} testId="attempts-table">
        {leases.data.map((lease) => (
          <Attempt
            key={lease.id}
            lease={lease}
            result={results.find(({ lease_id }) => lease_id === lease.id) ?? null}
          />
        ))}
      </Table>
    </Panel>
  );
}

function Attempt({ lease, result }: { lease: Lease; result: TaskResult | null }) {
  const { epoch, status } = lease;
  const good = status === 'released' && result?.status === 'success';
  const { label, tone } = good ? ({ label: 'Completed', tone: 'good' } as const) : LEASE_STATUSES[status];
  const took = result?.metrics.duration_ms ?? 0;
  const lasted = lease.ended_at === null ? null : lease.ended_at - lease.started_at;
  return (
    <tr data-testid={`attempt-${epoch}`} data-status={status}>
      <td>{epoch}</td>
      <td className={styles.short}>
        {lease.worker_id}
        <span className="second-line">{LEASE_KINDS[lease.kind]}</span>
      </td>
      <td>
        <Ago at={lease.started_at} />
      </td>
      <td className={styles.reason}>
        <Status tone={tone} testId={`attempt-status-${epoch}`}>
          {label}
        </Status>
        <span className="second-line" data-testid={`attempt-reason-${epoch}`}>
          {status === 'active' ? (
            <>
              ends <Expires lease={lease} testId={`attempt-expires-${epoch}`} />
            </>
          ) : (
            // That it is completed is said already.
            !good && (result?.error_message ?? lease.end_reason)
          )}
        </span>
      </td>
      <td data-align="end" className={styles.short}>
        {took > 0 ? duration(took) : lasted === null ? dash : duration(lasted)}
      </td>
      <td data-align="end" title={result === null ? undefined : tokenWords(result)}>
        {result === null || result.metrics.tokens_used === 0 ? dash : count(result.metrics.tokens_used)}
      </td>
      <td data-align="end">
        {result === null || result.metrics.cost_usd === 0 ? dash : formatUsd(result.metrics.cost_usd)}
      </td>
    </tr>
  );
}

const dash = <span className="dim">–</span>;

function tokenWords({ metrics: { usage } }: TaskResult): string {
  const part = (value: number | null, name: string): string[] =>
    value === null ? [] : [`${count(value)} ${name}`];
  return [
    ...part(usage.inputTokens, 'in'),
    ...part(usage.outputTokens, 'out'),
    ...part(usage.cacheReadTokens, 'read from the cache'),
    ...part(usage.cacheWriteTokens, 'written to the cache'),
    ...(usage.model === null ? [] : [usage.model]),
  ].join(', ');
}
