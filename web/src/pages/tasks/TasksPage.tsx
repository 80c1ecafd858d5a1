import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import { statsQuery } from '../../api/queries.ts';
import { PageHead } from '../../components/PageHead.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import { NewTask } from './NewTask.tsx';
import { StatusFilter } from './StatusFilter.tsx';
import type { TaskSearch } from './task-filter.ts';
import { TasksPanel } from './TasksPanel.tsx';

/** The LLM tasks: filtered, created, and watched while they run. */
export function TasksPage() {
  usePageTitle('Tasks');
  const search = useSearch({ from: '/shell/runtime/tasks' });
  const navigate = useNavigate({ from: '/runtime/tasks' });
  const stats = useQuery(statsQuery).data?.tasks;
  const change = useCallback(
    (part: Partial<TaskSearch>, replace: boolean) =>
      void navigate({ search: (before) => ({ ...before, ...part }), replace }),
    [navigate],
  );
  return (
    <div className="page" data-testid="page-tasks">
      <RuntimeNav />
      <PageHead title="Tasks" note="Prompts that nodes run, one lease at a time.">
        <NewTask />
      </PageHead>
      <StatusFilter
        status={search.status}
        counts={stats?.by_status}
        total={stats?.total}
        onChange={(status) => change({ status }, false)}
      />
      <TasksPanel search={search} onChange={change} />
    </div>
  );
}
