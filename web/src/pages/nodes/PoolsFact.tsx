import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { DEFAULT_POOL } from '../../../../contract/tasks/tasks.ts';
import { taskApi } from '../../api/task-calls.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { compareNames } from '../../format/order.ts';
import styles from './PoolsFact.module.css';

/** The pools of a node, what each lacks, and the buttons that allow and withdraw them. */
export function PoolsFact({ node }: { node: Node }) {
  const { id, pools } = node;
  const names = [...new Set([...pools.asked, ...pools.allowed])].sort(compareNames);
  const change = useMutation({
    mutationFn: ({ pool, allow }: { pool: string; allow: boolean }) => {
      const others = pools.allowed.filter((name) => name !== pool);
      return taskApi.allowPools(id, allow ? [...others, pool] : others);
    },
    onSuccess: (_node, { pool, allow }) =>
      notifyDone(allow ? `${id} may serve ${pool}` : `${id} may not serve ${pool}`),
    onError: (error, { pool }) => notifyFailure(`The pool ${pool} of ${id} was not changed`, error),
  });
  return (
    <ul className={styles.pools}>
      <li>{DEFAULT_POOL}</li>
      {names.map((pool) => {
        const isAllowed = pools.allowed.includes(pool);
        const isAsked = pools.asked.includes(pool);
        return (
          <li key={pool} data-testid={`node-pool-${pool}`}>
            <span>
              {pool}
              {!isAllowed && <span className="second-line">The node asks for it</span>}
              {!isAsked && <span className="second-line">The node does not ask for it</span>}
            </span>
            {node.kind === 'membridge' && (
              <Button
                size="compact-xs"
                variant={isAllowed ? 'subtle' : 'light'}
                {...(isAllowed && { color: 'gray' })}
                loading={change.isPending && change.variables.pool === pool}
                onClick={() => change.mutate({ pool, allow: !isAllowed })}
                aria-label={`${isAllowed ? 'Withdraw' : 'Allow'} the pool ${pool}`}
                data-testid={`node-pool-change-${pool}`}
              >
                {isAllowed ? 'Withdraw' : 'Allow'}
              </Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}
