import { Badge, Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { IconCrown } from '@tabler/icons-react';
import type { Leadership } from '../../../../contract/memory/leadership.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { leadershipQuery } from '../../api/project-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Facts } from '../../components/Facts.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { count } from '../../format/numbers.ts';
import { absoluteTime } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import styles from './Leadership.module.css';
import { LeadershipEvents } from './LeadershipEvents.tsx';
import { countdown, isExpired, leaseWords } from './lease.ts';
import { Promote } from './Promote.tsx';

/** The primary of a space or project, its lease, and what changed. `name` is what people call the space or project. */
export function LeadershipCard(props: { cid: string; name: string; fleet: readonly Node[] }) {
  const { cid, name, fleet } = props;
  const { data, error, isPending, refetch } = useQuery(leadershipQuery(cid));
  const [opened, { open, close }] = useDisclosure();
  return (
    <Panel
      title="Leadership"
      note={`of ${name}`}
      testId="leadership-card"
      actions={
        data !== undefined &&
        fleet.length > 0 && (
          <Button
            variant="default"
            size="xs"
            leftSection={<IconCrown size={14} />}
            onClick={open}
            data-testid="promote-open"
          >
            {data.primary_node_id === null ? 'Choose a primary' : 'Promote a node'}
          </Button>
        )
      }
    >
      {isPending && <Loading what="the leadership" />}
      {data === undefined && error !== null && (
        <Failure what="The leadership" error={error} retry={refetch} testId="leadership-failure" />
      )}
      {data !== undefined && <Lease leadership={data} fleet={fleet} />}
      {data !== undefined && <LeadershipEvents events={data.events} />}
      {opened && data !== undefined && (
        <Promote leadership={data} name={name} fleet={fleet} onClose={close} />
      )}
    </Panel>
  );
}

function Lease({ leadership, fleet }: { leadership: Leadership; fleet: readonly Node[] }) {
  const now = useNow();
  const { primary_node_id: primary, expires_at, issued_at, last_error } = leadership;
  const expired = isExpired(leadership, now);
  const node = fleet.find(({ id }) => id === primary);
  const online = node !== undefined && presenceOf(node, now) === 'online';
  return (
    <>
      <div className={styles.primary}>
        <strong data-testid="leadership-primary">{primary ?? 'Nobody'}</strong>
        <LeaseStatus leadership={leadership} expired={expired} />
        <span className="dim">
          epoch <span data-testid="leadership-epoch">{count(leadership.epoch)}</span>
        </span>
      </div>
      <p className="dim" data-testid="leadership-note">
        {noteOf(leadership, { expired, online })}
      </p>
      <div className={styles.facts}>
        <Facts
          facts={[
            {
              name: 'Expires',
              value:
                expires_at === null ? (
                  <span className="dim">–</span>
                ) : (
                  <time dateTime={new Date(expires_at).toISOString()} title={absoluteTime(expires_at)}>
                    {expired || expires_at <= now ? (
                      <Ago at={expires_at} />
                    ) : (
                      `in ${countdown(expires_at - now)}`
                    )}
                  </time>
                ),
              testId: 'leadership-expires',
            },
            {
              name: 'Issued',
              value: (
                <>
                  <Ago at={issued_at} never="–" />
                  {issued_at !== null && (
                    <span className="second-line">for {leaseWords(leadership.lease_seconds)}</span>
                  )}
                </>
              ),
              testId: 'leadership-issued',
            },
            {
              name: 'Last snapshot',
              value: <Ago at={leadership.last_snapshot_at} />,
              testId: 'leadership-snapshot',
            },
            {
              name: 'Last mirror',
              value: <Ago at={leadership.last_mirror_at} />,
              testId: 'leadership-mirror',
            },
          ]}
        />
      </div>
      {last_error !== null && (
        <p className={styles.error} data-testid="leadership-error">
          {last_error}
        </p>
      )}
    </>
  );
}

function LeaseStatus({ leadership, expired }: { leadership: Leadership; expired: boolean }) {
  if (expired) {
    return (
      <Badge color="red.8" radius="sm" data-testid="leadership-status">
        Expired
      </Badge>
    );
  }
  return leadership.status === 'active' ? (
    <Status tone="good" testId="leadership-status">
      Active
    </Status>
  ) : (
    <Status tone="warn" testId="leadership-status">
      Needs selection
    </Status>
  );
}

function noteOf(leadership: Leadership, { expired, online }: { expired: boolean; online: boolean }): string {
  const { primary_node_id: primary, status, epoch } = leadership;
  if (status === 'needs_selection' || primary === null) {
    return epoch === 0
      ? 'There is no primary yet. Memory syncs between all nodes anyway; a primary also takes snapshots.'
      : 'The last lease has ended. Memory syncs between all nodes anyway; choose a primary to take snapshots.';
  }
  if (expired) return `${primary} did not renew its lease. Choose a primary, or wait for it to return.`;
  return online
    ? 'The primary is online and renews its lease.'
    : 'The primary is offline. Its lease expires unless it returns.';
}
