import { Button, Tooltip } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconRefresh } from '@tabler/icons-react';
import { memo } from 'react';
import type { Job, SpaceFacts, SpaceMember, SpaceNode } from '../../../../contract/memory/memory.ts';
import type { SyncAction } from '../../../../contract/http/primitives.ts';
import { Ago } from '../../components/Ago.tsx';
import { NodeName } from '../../components/NodeName.tsx';
import { Status } from '../../components/Status.tsx';
import { bytes, count } from '../../format/numbers.ts';
import { ACTIONS, SPACE_NODE_STATUSES, describeDifferences } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import styles from './MemberRow.module.css';
import { NodeSettings } from './NodeSettings.tsx';
import { useRequestSync } from './use-request-sync.ts';

const ICONS = { push: IconArrowUp, pull: IconArrowDown, sync: IconRefresh } as const;
const HELP: Record<SyncAction, string> = {
  push: 'Send the new memories of this node',
  pull: 'Fetch the new memories of other nodes',
  sync: 'Send, then fetch',
};

/** One node in a space. `unfinished` is its running or waiting job, if any. */
export const MemberRow = memo(function MemberRow(props: {
  space: SpaceFacts;
  member: SpaceMember;
  /** The newest known heartbeat, in epoch milliseconds. */
  heardAt: number | null;
  unfinished: Job | undefined;
}) {
  const { record, enrolled, settings } = props.member;
  const now = useNow();
  const presence = enrolled ? presenceOf({ last_heartbeat: props.heardAt }, now) : 'gone';
  const online = presence === 'online';
  const id = record.node_id;
  const different = settings === null ? '' : describeDifferences(settings);
  // The job of an offline node waits; its buttons must not look busy for that.
  const busyWith = online ? props.unfinished?.action : undefined;

  return (
    <tr data-testid={`member-row-${id}`}>
      <td>
        <NodeName node={id} presence={presence} testId={`member-link-${id}`}>
          {different !== '' && (
            <span className="second-line" data-testid={`member-different-${id}`}>
              {different}
            </span>
          )}
        </NodeName>
      </td>
      <td className={styles.status}>
        <MemberStatus record={record} online={online} waits={!online && props.unfinished !== undefined} />
      </td>
      <td>
        <Ago at={record.last_push_at} testId={`member-push-at-${id}`} />
      </td>
      <td>
        <Ago at={record.last_pull_at} testId={`member-pull-at-${id}`} />
      </td>
      <td data-align="end" data-testid={`member-head-${id}`} title={record.head_epoch ?? undefined}>
        {record.head_epoch === null ? <span className="dim">–</span> : count(record.head_seq)}
      </td>
      <Moved rows={record.rows_sent} size={record.bytes_up} testId={`member-sent-${id}`} />
      <Moved rows={record.rows_received} size={record.bytes_down} testId={`member-received-${id}`} />
      <td className={styles.actions}>
        {enrolled && (
          <span className={styles.buttons}>
            <SyncButtons space={props.space} node={id} online={online} busyWith={busyWith} />
            <NodeSettings space={props.space} node={id} />
          </span>
        )}
      </td>
    </tr>
  );
});

/** For Temporal the sync of an offline node is running, but nothing happens until the node returns. */
const WAITING = { label: 'Waiting', tone: 'quiet' } as const;

function MemberStatus(props: { record: SpaceNode; online: boolean; waits: boolean }) {
  const { record } = props;
  const waits = props.waits || (!props.online && record.status === 'syncing');
  const { label, tone } = waits ? WAITING : SPACE_NODE_STATUSES[record.status];
  const detail = waits ? 'a sync waits until this node returns' : record.detail;
  return (
    <>
      <Status tone={tone} testId={`member-status-${record.node_id}`}>
        {label}
      </Status>
      {detail !== '' && (
        <span className="second-line" data-testid={`member-detail-${record.node_id}`}>
          {detail}
        </span>
      )}
    </>
  );
}

function Moved(props: { rows: number; size: number; testId: string }) {
  return (
    <td data-align="end" data-testid={props.testId} className={styles.moved}>
      {props.rows === 0 && props.size === 0 ? (
        <span className="dim">–</span>
      ) : (
        <>
          {count(props.rows)}
          <span className="second-line">{bytes(props.size)}</span>
        </>
      )}
    </td>
  );
}

function SyncButtons(props: {
  space: SpaceFacts;
  node: string;
  online: boolean;
  busyWith: SyncAction | undefined;
}) {
  const request = useRequestSync(props.space, props.node);
  return (
    <>
      {(['push', 'pull', 'sync'] as const).map((action) => {
        const Icon = ICONS[action];
        const asking = request.isPending && request.variables === action;
        return (
          <Tooltip key={action} label={props.online ? HELP[action] : 'Runs when the node returns'}>
            <Button
              variant="default"
              size="compact-xs"
              leftSection={<Icon size={13} />}
              loading={asking || props.busyWith === action}
              onClick={() => request.mutate(action)}
              aria-label={`${ACTIONS[action]} ${props.node}`}
              data-testid={`member-${action}-${props.node}`}
            >
              {ACTIONS[action]}
            </Button>
          </Tooltip>
        );
      })}
    </>
  );
}
