import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { IconFilter, IconSearch } from '@tabler/icons-react';
import { useMemo } from 'react';
import { projectsQuery } from '../../api/project-queries.ts';
import { nodesQuery } from '../../api/queries.ts';
import { tasksQuery } from '../../api/task-queries.ts';
import { LoadMore } from '../../components/LoadMore.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { TextFilter } from '../../components/TextFilter.tsx';
import { TASK_STATUSES } from '../../format/task-words.ts';
import { toFilter, countUsedFields, type TaskSearch } from './task-filter.ts';
import { TaskFilters } from './TaskFilters.tsx';
import { TaskRow } from './TaskRow.tsx';
import styles from './Tasks.module.css';

const COLUMNS = [
  { name: 'Task ID' },
  { name: 'Agent' },
  { name: 'Prompt' },
  { name: 'Status' },
  { name: 'Worker' },
  { name: 'Attempts', align: 'end' },
  { name: 'Created' },
  { name: 'Actions', quiet: true },
] as const;

/** The tasks that match the address's filter, newest first. `onChange` receives the changed filter. */
export function TasksPanel(props: {
  search: TaskSearch;
  onChange: (part: Partial<TaskSearch>, replace: boolean) => void;
}) {
  const { search, onChange } = props;
  const filter = useMemo(() => toFilter(search), [search]);
  const list = useInfiniteQuery(tasksQuery(filter));
  const nodes = useQuery(nodesQuery).data ?? [];
  const projects = useQuery(projectsQuery).data ?? [];
  const used = countUsedFields(search);
  const [shown, { toggle }] = useDisclosure(used > 0);
  const tasks = list.data?.pages.flatMap(({ rows }) => rows) ?? [];
  const title = search.status === undefined ? 'All tasks' : `${TASK_STATUSES[search.status].label} tasks`;

  return (
    <Panel
      title={title}
      testId="tasks-panel"
      flush
      actions={
        <>
          <TextFilter
            label="Search tasks"
            seen={false}
            placeholder="Prompt, id, context, agent"
            className={styles.search}
            icon={<IconSearch size={14} aria-hidden />}
            value={search.search}
            onChange={(text) => onChange({ search: text }, true)}
            maxLength={200}
            testId="tasks-search"
          />
          <Button
            variant="default"
            size="xs"
            leftSection={<IconFilter size={14} />}
            aria-expanded={shown}
            onClick={toggle}
            data-testid="tasks-filters-toggle"
          >
            {used === 0 ? 'Filters' : `Filters · ${used}`}
          </Button>
        </>
      }
    >
      {shown && <TaskFilters search={search} nodes={nodes} projects={projects} onChange={onChange} />}
      {list.isPending && <Loading what="the tasks" />}
      {list.data === undefined && list.error !== null && (
        <Failure what="The tasks" error={list.error} retry={list.refetch} />
      )}
      {list.data !== undefined && tasks.length === 0 && <NoTask search={search} />}
      {tasks.length > 0 && (
        <div className={styles.rows} data-old={list.isPlaceholderData}>
          <Table label="Tasks" columns={COLUMNS} testId="tasks-table">
            {tasks.map((task) => (
              <TaskRow key={task.id} task={task} />
            ))}
          </Table>
        </div>
      )}
      <LoadMore list={list} what="tasks" testId="tasks-more" />
    </Panel>
  );
}

function NoTask({ search }: { search: TaskSearch }) {
  if (Object.values(search).every((value) => value === undefined)) {
    return (
      <Empty title="No task yet" testId="tasks-empty">
        A task is a prompt that a node runs with its agent program. Press “New task”, or use the API.
      </Empty>
    );
  }
  return (
    <Empty title="Nothing matches these filters" testId="tasks-no-match">
      Change or clear a filter above to see tasks.
    </Empty>
  );
}
