import { Progress } from '@mantine/core';
import type { Lease } from '../../../../contract/tasks/leases.ts';
import { Ago } from '../../components/Ago.tsx';
import { longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import styles from './TaskPage.module.css';

/** How long a lease lives without another heartbeat, in words. */
export function Expires({ lease, testId }: { lease: Lease; testId: string }) {
  const now = useNow();
  const left = lease.expires_at - now;
  return (
    <span data-testid={testId} className={styles.short}>
      {left > 0 ? `in ${longSpan(left)}` : 'any moment'}
    </span>
  );
}

/** The active lease: its holder, and how long it lives without another heartbeat. */
export function LeaseClock({ lease }: { lease: Lease }) {
  const now = useNow();
  const left = Math.max(0, lease.expires_at - now);
  const share = Math.min(100, (100 * left) / (lease.ttl_seconds * 1_000));
  return (
    <div className={styles.lease} data-testid="lease-clock">
      <Progress
        value={share}
        size={4}
        color={share < 25 ? 'orange' : 'iris'}
        aria-label="Time left on the lease"
      />
      <div className={styles.leaseWords}>
        <span>
          On {lease.worker_id}; its lease ends <Expires lease={lease} testId="lease-expires" />
        </span>
        <span>
          heard from <Ago at={lease.last_heartbeat} testId="lease-heartbeat" />
        </span>
      </div>
    </div>
  );
}
