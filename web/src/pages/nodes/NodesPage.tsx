import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import { nodesQuery } from '../../api/queries.ts';
import { Figures } from '../../components/Figures.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { count } from '../../format/numbers.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { AddNode } from './AddNode.tsx';
import { NodeDrawer } from './NodeDrawer.tsx';
import { NodesTable } from './NodesTable.tsx';

/** The fleet: which nodes are online, since when others are not, and the state of their memory. */
export function NodesPage() {
  usePageTitle('Nodes');
  const nodes = useQuery(nodesQuery);
  const { node: openId } = useSearch({ from: '/shell/nodes' });
  const navigate = useNavigate({ from: '/nodes' });
  const open = useCallback(
    (node: string | undefined) => void navigate({ search: { node }, replace: node === undefined }),
    [navigate],
  );
  const opened = nodes.data?.find(({ id }) => id === openId);

  return (
    <div className="page" data-testid="page-nodes">
      <PageHead
        title="Nodes"
        note="The machines whose agents report here. A node that cannot work says why."
      />
      {nodes.data !== undefined && <FleetFigures nodes={nodes.data} />}
      {nodes.isPending && <Loading what="the nodes" />}
      {nodes.data === undefined && nodes.error !== null && (
        <Failure what="The nodes" error={nodes.error} retry={nodes.refetch} />
      )}
      {nodes.data?.length === 0 && (
        <Empty title="No node has joined yet" testId="nodes-empty">
          Create a token below and run its command on a machine with Claude Code. The node then appears here
          automatically.
        </Empty>
      )}
      {nodes.data !== undefined && nodes.data.length > 0 && <NodesTable nodes={nodes.data} onOpen={open} />}
      <AddNode />
      <NodeDrawer node={opened} onClose={() => open(undefined)} />
    </div>
  );
}

function FleetFigures({ nodes }: { nodes: readonly Node[] }) {
  const now = useNow();
  const online = nodes.filter((node) => presenceOf(node, now) === 'online').length;
  return (
    <Figures
      label="Fleet"
      figures={[
        { label: 'Total', value: count(nodes.length), testId: 'nodes-total' },
        { label: 'Online', value: count(online), testId: 'nodes-online' },
        { label: 'Offline', value: count(nodes.length - online), testId: 'nodes-offline' },
      ]}
    />
  );
}
