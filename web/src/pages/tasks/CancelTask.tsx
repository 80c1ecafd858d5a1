import { TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { taskApi } from '../../api/task-calls.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyFailure } from '../../components/notify.ts';
import styles from './Tasks.module.css';

/** Asks before a task is cancelled, and says what ends with it. */
export function CancelTask({ task, onClose }: { task: Task; onClose: () => void }) {
  const [reason, setReason] = useState('');
  const cancel = useMutation({
    mutationFn: () => taskApi.cancel(task.id, reason.trim()),
    onError: (error) => notifyFailure(`${task.id} was not cancelled`, error),
    onSettled: onClose,
  });
  return (
    <ConfirmDialog
      opened
      title="Cancel this task?"
      confirm="Cancel the task"
      decline={task.status === 'queued' ? 'Keep it' : 'Let it run'}
      busy={cancel.isPending}
      onConfirm={() => cancel.mutate()}
      onCancel={onClose}
    >
      <div className={styles.question}>
        <p>
          {task.worker_id === null
            ? `${task.id} is not running, so it is cancelled immediately.`
            : `${task.id} is on ${task.worker_id}. Its program ends, with all processes that it started. Changes that it made until then stay.`}{' '}
          A cancelled task cannot be requeued.
        </p>
        <TextInput
          label="Reason"
          description="Optional. Recorded in the audit log."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
          data-testid="cancel-reason"
        />
      </div>
    </ConfirmDialog>
  );
}
