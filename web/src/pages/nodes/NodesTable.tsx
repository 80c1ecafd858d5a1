import { SegmentedControl } from '@mantine/core';
import { useDeferredValue, useMemo, useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { FilterInput } from '../../components/FilterInput.tsx';
import { Empty } from '../../components/Notice.tsx';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { compareNames } from '../../format/order.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { NodeRow } from './NodeRow.tsx';
import { matchesNode } from './matches-node.ts';

const PAGE_SIZE = 100;
const COLUMNS = [
  { name: 'Node' },
  { name: 'Status' },
  { name: 'Memory' },
  { name: 'Rows' },
  { name: 'Agent' },
  { name: 'Addresses' },
  { name: 'Enrolled' },
  { name: 'Actions', quiet: true },
] as const;

const NODE_FILTERS = [
  { value: 'all', label: 'All' },
  { value: 'online', label: 'Online' },
  { value: 'offline', label: 'Offline' },
];

/** Every node, a hundred on a page, filtered by name, host, system, version or address. */
export function NodesTable({ nodes, onOpen }: { nodes: readonly Node[]; onOpen: (id: string) => void }) {
  const [typed, setTyped] = useState('');
  const [shownOnly, setShownOnly] = useState('all');
  const text = useDeferredValue(typed);
  const now = useNow();
  const sorted = useMemo(() => nodes.toSorted((a, b) => compareNames(a.id, b.id)), [nodes]);
  const found = sorted.filter(
    (node) =>
      matchesNode(node, text) &&
      (shownOnly === 'all' || (presenceOf(node, now) === 'online') === (shownOnly === 'online')),
  );
  const { shown, pager } = usePaged(found, PAGE_SIZE);

  return (
    <Panel
      title="Fleet"
      testId="nodes-panel"
      flush
      actions={
        <>
          <SegmentedControl
            size="xs"
            data={NODE_FILTERS}
            value={shownOnly}
            onChange={setShownOnly}
            aria-label="Show nodes"
            data-testid="nodes-status-filter"
          />
          <FilterInput what="nodes" value={typed} onChange={setTyped} testId="nodes-filter" />
        </>
      }
    >
      {found.length === 0 ? (
        <Empty title="No node matches" testId="nodes-no-match">
          {text === '' ? `No node is ${shownOnly} now.` : `Nothing here contains “${text}”.`}
        </Empty>
      ) : (
        <Table label="Nodes" columns={COLUMNS} testId="nodes-table">
          {shown.map((node) => (
            <NodeRow key={node.id} node={node} onOpen={onOpen} />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="nodes" />
    </Panel>
  );
}
