import { Checkbox, Select } from '@mantine/core';
import { useCallback, useState, type ReactNode } from 'react';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { History } from '../../components/History.tsx';
import { FilterInput } from '../../components/FilterInput.tsx';
import { Empty } from '../../components/Notice.tsx';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table, type Column } from '../../components/Table.tsx';
import { hasClone } from '../../format/project-words.ts';
import { CloneRow } from './CloneRow.tsx';
import { ROW_FILTERS, type MatrixRow, type RowFilter } from './matrix.ts';
import styles from './Matrix.module.css';

const PAGE_SIZE = 50;
/** The number of nodes from which a filter is shown. */
const FILTER_FROM = 12;
const FILTERS = Object.entries(ROW_FILTERS).map(([value, { label }]) => ({ value, label }));

/** The project on every node of the fleet. `selected` are the nodes that the buttons above act on. */
export function NodeMatrix(props: {
  project: ProjectSummary;
  rows: readonly MatrixRow[];
  selected: ReadonlySet<string>;
  onSelect: (change: (before: ReadonlySet<string>) => ReadonlySet<string>) => void;
}) {
  const { project, rows, selected, onSelect } = props;
  const [typed, setTyped] = useState('');
  const [filter, setFilter] = useState<RowFilter>('all');
  const text = typed.trim().toLowerCase();
  const found = rows.filter((row) => row.node.toLowerCase().includes(text) && ROW_FILTERS[filter].takes(row));
  const { shown, pager } = usePaged(found, PAGE_SIZE);
  const choosable = found.filter(({ presence }) => presence !== 'gone').map(({ node }) => node);
  const chosen = choosable.filter((node) => selected.has(node)).length;

  const select = useCallback(
    (node: string, on: boolean) =>
      onSelect((before) => {
        const after = new Set(before);
        if (on) after.add(node);
        else after.delete(node);
        return after;
      }),
    [onSelect],
  );
  const columns: Column[] = [
    {
      name: 'Chosen',
      content: (
        <Checkbox
          size="xs"
          aria-label="Choose every node that is listed"
          checked={chosen > 0 && chosen === choosable.length}
          indeterminate={chosen > 0 && chosen < choosable.length}
          disabled={choosable.length === 0}
          onChange={() => onSelect(() => new Set(chosen === choosable.length ? [] : choosable))}
          data-testid="matrix-select-all"
        />
      ),
    },
    ...COLUMNS,
  ];
  return (
    <Panel
      title="Nodes"
      note={<MatrixNote project={project} rows={rows} chosen={chosen} />}
      testId="matrix-panel"
      flush
      actions={
        rows.length >= FILTER_FROM && (
          <>
            <Select
              size="xs"
              w={160}
              aria-label="Show nodes"
              data={FILTERS}
              value={filter}
              onChange={(value) => setFilter((value ?? 'all') as RowFilter)}
              allowDeselect={false}
              data-testid="matrix-status-filter"
            />
            <FilterInput
              what="nodes"
              label="Filter the nodes of this project"
              value={typed}
              onChange={setTyped}
              testId="matrix-filter"
            />
          </>
        )
      }
    >
      {rows.length === 0 && (
        <Empty title="No node has joined yet" testId="matrix-empty">
          Add a machine on the Nodes page. Then it can clone this project.
        </Empty>
      )}
      {rows.length > 0 && found.length === 0 && (
        <Empty title="No node matches" testId="matrix-no-match">
          None of the {rows.length} nodes matches. Change or clear a filter.
        </Empty>
      )}
      {found.length > 0 && (
        <Table label="The project on each node" columns={columns} testId="matrix">
          {shown.map(({ node, clone, presence, isPrimary }) => (
            <CloneRow
              key={node}
              project={project.id}
              name={project.name}
              node={node}
              clone={clone}
              presence={presence}
              isPrimary={isPrimary}
              chosen={selected.has(node)}
              onChoose={select}
            />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="the nodes of this project" />
    </Panel>
  );
}

const COLUMNS: readonly Column[] = [
  { name: 'Node' },
  { name: 'Status' },
  { name: 'Commit' },
  { name: 'Remote' },
  { name: 'On disk' },
  { name: 'Last sync' },
  { name: 'History', quiet: true },
  { name: 'Actions', quiet: true },
];

function MatrixNote(props: {
  project: ProjectSummary;
  rows: readonly MatrixRow[];
  chosen: number;
}): ReactNode {
  const { project, rows, chosen } = props;
  const { propagation } = project;
  const having = rows.filter(({ clone }) => clone !== null && hasClone(clone)).length;
  const open = propagation?.state === 'running' || propagation?.state === 'waiting';
  return (
    <span className={styles.note}>
      <span data-testid="matrix-have">
        {having} of {rows.length} have it
      </span>
      {chosen > 0 && <span data-testid="matrix-chosen"> · {chosen} chosen</span>}
      {open && (
        <span data-testid="matrix-propagation">
          {' · '}
          {propagation.state === 'running' ? 'propagating' : 'waiting for offline nodes'}
          {propagation.history_url !== null && ' · '}
          <History url={propagation.history_url} of="this propagation" testId="propagation-history" />
        </span>
      )}
    </span>
  );
}
