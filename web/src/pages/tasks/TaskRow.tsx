import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { Ago } from '../../components/Ago.tsx';
import { Status } from '../../components/Status.tsx';
import { shortenPrompt, taskWords } from '../../format/task-words.ts';
import { RowButtons } from './TaskButtons.tsx';
import styles from './Tasks.module.css';
import { TaskStatusWords } from './TaskStatusWords.tsx';

/** One task of the list. Redrawn only when the task changed. */
export const TaskRow = memo(function TaskRow({ task }: { task: Task }) {
  const { id } = task;
  const { tone, label } = taskWords(task);
  return (
    <tr data-testid={`task-row-${id}`} data-status={task.status}>
      <td>
        <Link
          to="/runtime/tasks/$taskId"
          params={{ taskId: id }}
          className={styles.id}
          data-testid={`task-open-${id}`}
        >
          {id}
        </Link>
        {/* Repeats its column for narrow windows; hidden from screen readers. */}
        <span className={styles.narrow} aria-hidden>
          <Status tone={tone}>{label}</Status>
        </span>
      </td>
      <td>
        <div className={styles.agent} title={task.agent_slug}>
          {task.agent_slug}
        </div>
      </td>
      <td className={styles.prompt} data-testid={`task-prompt-${id}`}>
        {shortenPrompt(task.prompt)}
      </td>
      <td className={styles.status}>
        <TaskStatusWords task={task} testId={`task-status-${id}`} />
      </td>
      <td className={styles.short} data-testid={`task-worker-${id}`}>
        {task.worker_id ?? <span className="dim">{describePlace(task)}</span>}
      </td>
      <td data-align="end" className={styles.short} data-testid={`task-attempts-${id}`}>
        {task.attempts}/{task.max_attempts}
      </td>
      <td>
        <Ago at={task.created_at} />
      </td>
      <td>
        <RowButtons task={task} />
      </td>
    </tr>
  );
});

/** Returns where a task without a worker should run, in a word or two. */
function describePlace({ requested_worker_id: node, pool, status }: Task): string {
  if (status !== 'queued') return '–';
  if (node !== null) return `only ${node}`;
  return pool === 'default' ? '–' : `pool ${pool}`;
}
