import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { ApiProblem } from '../../api/problem.ts';
import { taskLeasesQuery, taskQuery, taskResultsQuery } from '../../api/task-queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { taskTitle } from '../../format/task-words.ts';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import { Artifacts } from './Artifacts.tsx';
import { Attempts } from './Attempts.tsx';
import { Output } from './Output.tsx';
import { Prompt } from './Prompt.tsx';
import { Result } from './Result.tsx';
import { TaskFacts } from './TaskFacts.tsx';
import { TaskHead } from './TaskHead.tsx';
import styles from './TaskPage.module.css';
import { Timeline } from './Timeline.tsx';

/** One task: its settings, its present state, and its results. */
export function TaskPage() {
  const { taskId } = useParams({ from: '/shell/runtime/tasks/$taskId' });
  const task = useQuery(taskQuery(taskId));
  usePageTitle(task.data === undefined ? 'Task' : taskTitle(task.data));
  const missing = task.error instanceof ApiProblem && task.error.status === 404;
  return (
    <div className="page" data-testid="page-task">
      <RuntimeNav />
      {task.isPending && <Loading what="the task" />}
      {task.data === undefined && missing && (
        <Empty title="There is no such task" testId="task-missing">
          No task has the id {taskId}. “Tasks” above lists all tasks.
        </Empty>
      )}
      {task.data === undefined && task.error !== null && !missing && (
        <Failure what="The task" error={task.error} retry={task.refetch} />
      )}
      {task.data !== undefined && <TaskDetail key={taskId} task={task.data} />}
    </div>
  );
}

function TaskDetail({ task }: { task: Task }) {
  const leases = useQuery(taskLeasesQuery(task.id));
  const results = useQuery(taskResultsQuery(task.id));
  return (
    <>
      <TaskHead task={task} lease={leases.data?.find(({ status }) => status === 'active') ?? null} />
      <div className={styles.halves}>
        <div className={styles.half}>
          <Result task={task} results={results} />
          <Output task={task} />
          <Prompt task={task} />
          <Attempts leases={leases} results={results.data ?? []} />
          <Artifacts task={task} />
        </div>
        <div className={styles.half}>
          <TaskFacts task={task} />
          <Timeline task={task} />
        </div>
      </div>
    </>
  );
}
