import type { Lease } from '../../../../contract/tasks/leases.ts';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { Copy } from '../../components/Copy.tsx';
import { DetailHead } from '../../components/DetailHead.tsx';
import { History } from '../../components/History.tsx';
import { Status } from '../../components/Status.tsx';
import { capitalizeFirst, TASK_STATUS_HELP, taskWords, taskTitle } from '../../format/task-words.ts';
import { LeaseClock } from './LeaseClock.tsx';
import { TaskButtons } from './TaskButtons.tsx';
import styles from './TaskPage.module.css';

/** A task's title, status, the reason for it, and its actions. */
export function TaskHead({ task, lease }: { task: Task; lease: Lease | null }) {
  const { label, tone, note } = taskWords(task);
  return (
    <DetailHead
      title={
        <>
          <h1 data-testid="task-title">{taskTitle(task)}</h1>
          <span title={TASK_STATUS_HELP[task.status]}>
            <Status tone={tone} testId="task-status">
              {label}
            </Status>
          </span>
        </>
      }
      actions={<TaskButtons task={task} of="head" look={{ variant: 'default' }} />}
    >
      <div className={styles.id}>
        <code data-testid="task-id">{task.id}</code>
        <Copy text={task.id} what="the id of the task" testId="task-copy-id" />
        {note !== '' && <span>· {note}</span>}
        {task.history_url !== null && (
          <>
            <span aria-hidden>·</span>
            <History url={task.history_url} of="this task" testId="task-history" />
          </>
        )}
      </div>
      <Now task={task} hasLease={lease !== null} />
      {lease !== null && <LeaseClock lease={lease} />}
    </DetailHead>
  );
}

/** What it waits for, or what happened last. */
function Now({ task, hasLease }: { task: Task; hasLease: boolean }) {
  const { waiting, error_code: code, error_message: error, detail } = task;
  if (waiting !== null) {
    const { reason, position } = waiting;
    return (
      <p className={styles.now} role="status" data-testid="task-waiting">
        {capitalizeFirst(reason)}
        {position !== null && <span className="dim"> · number {position} in line</span>}
      </p>
    );
  }
  if (error !== null && error !== '') {
    return (
      <p className={`${styles.now} ${styles.bad}`} data-testid="task-error">
        {error} {code !== null && <code>{code}</code>}
      </p>
    );
  }
  // Who has it stands beside its lease.
  if (detail === '' || (hasLease && task.cancel_requested_at === null)) return null;
  return (
    <p className={`${styles.now} dim`} data-testid="task-detail">
      {capitalizeFirst(detail)}
    </p>
  );
}
