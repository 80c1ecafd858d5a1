import type { Node } from '../../../../contract/nodes/nodes.ts';
import { Status } from '../../components/Status.tsx';
import { absoluteTime, ago, span } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';

/** Whether a node is online now, with the age of its last heartbeat. */
export function NodeStatus({ node }: { node: Node }) {
  const now = useNow();
  const presence = presenceOf(node, now);
  const testId = `node-status-${node.id}`;
  if (node.last_heartbeat === null) {
    return (
      <>
        <Status tone="quiet" testId={testId}>
          Unknown
        </Status>
        <span className="second-line">has never reported</span>
      </>
    );
  }
  const { last_heartbeat: at, standing } = node;
  return (
    <span title={`last heartbeat ${absoluteTime(at)}`} style={{ whiteSpace: 'nowrap' }}>
      <Status tone={presence !== 'online' ? 'quiet' : standing.takes_work ? 'good' : 'bad'} testId={testId}>
        {presence === 'online' ? 'Online' : 'Offline'}
      </Status>
      <span className="second-line" data-testid={`node-age-${node.id}`}>
        {presence === 'online' ? ago(at, now) : `for ${span(now - at)}`}
      </span>
      {presence === 'online' && !standing.takes_work && (
        <span
          className="second-line"
          style={{ whiteSpace: 'normal' }}
          data-testid={`node-standing-${node.id}`}
        >
          {standing.sentence}
        </span>
      )}
    </span>
  );
}
