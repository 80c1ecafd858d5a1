import type { Task } from '../../../../contract/tasks/tasks.ts';
import { Status } from '../../components/Status.tsx';
import { TASK_STATUS_HELP, taskWords } from '../../format/task-words.ts';

/** The status of a task, and below it what the status leaves open. */
export function TaskStatusWords(props: {
  task: Pick<Task, 'status' | 'cancel_requested_at' | 'dispatched'>;
  testId: string;
}) {
  const { label, tone, note } = taskWords(props.task);
  return (
    <span title={TASK_STATUS_HELP[props.task.status]}>
      <Status tone={tone} testId={props.testId}>
        {label}
      </Status>
      {note !== '' && <span className="second-line">{note}</span>}
    </span>
  );
}
