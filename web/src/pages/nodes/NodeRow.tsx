import { UnstyledButton } from '@mantine/core';
import { memo } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { Ago } from '../../components/Ago.tsx';
import { count } from '../../format/numbers.ts';
import { MemoryCell } from './MemoryCell.tsx';
import { NodeMenu } from './NodeMenu.tsx';
import styles from './NodeRow.module.css';
import { NodeStatus } from './NodeStatus.tsx';

/** One node of the fleet. Redrawn only when the node changed; its ages count by timer. */
export const NodeRow = memo(function NodeRow({ node, onOpen }: { node: Node; onOpen: (id: string) => void }) {
  const [firstIp, ...moreIps] = node.ip_addrs;
  const rows = node.memory?.rows ?? null;
  return (
    <tr data-testid={`node-row-${node.id}`}>
      <td>
        <UnstyledButton
          className={styles.name}
          onClick={() => onOpen(node.id)}
          data-testid={`node-open-${node.id}`}
        >
          {node.id}
        </UnstyledButton>
        <span className="second-line">
          {node.hostname === node.id ? node.os_info : `${node.hostname} · ${node.os_info}`}
        </span>
        {node.kind === 'original' && (
          <span className="second-line" data-testid={`node-original-${node.id}`}>
            Runs the original’s agent, so it gets nothing to do. To move it, create a token for this name
            below.
          </span>
        )}
      </td>
      <td>
        <NodeStatus node={node} />
      </td>
      <td>
        <MemoryCell node={node} />
      </td>
      <td data-testid={`node-rows-${node.id}`}>
        {rows === null ? (
          <span className="dim">–</span>
        ) : (
          <dl className={styles.rows}>
            <div>
              <dd>{count(rows.observations)}</dd>
              <dt>observations</dt>
            </div>
            <div>
              <dd>{count(rows.sessions)}</dd>
              <dt>sessions</dt>
            </div>
            <div>
              <dd>{count(rows.summaries)}</dd>
              <dt>summaries</dt>
            </div>
            <div>
              <dd>{count(rows.prompts)}</dd>
              <dt>prompts</dt>
            </div>
          </dl>
        )}
      </td>
      <td className="mono">{node.agent_version}</td>
      <td className="mono" title={node.ip_addrs.join('\n')}>
        {firstIp ?? <span className="dim">–</span>}
        {moreIps.length > 0 && <span className="second-line">+{moreIps.length} more</span>}
      </td>
      <td>
        <Ago at={node.registered_at} />
      </td>
      <td data-align="end">
        <NodeMenu node={node} />
      </td>
    </tr>
  );
});
