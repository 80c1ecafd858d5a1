import { Button, type ButtonProps } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconPlayerPlay, IconRotateClockwise, IconX } from '@tabler/icons-react';
import { useState } from 'react';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { keys } from '../../api/keys.ts';
import { taskApi } from '../../api/task-calls.ts';
import { notifyFailure } from '../../components/notify.ts';
import { findPossibleActions } from '../../format/task-words.ts';
import { CancelTask } from './CancelTask.tsx';
import styles from './Tasks.module.css';

type Look = Pick<ButtonProps, 'variant' | 'color' | 'size'>;

/** The same buttons, small and quiet, at the end of a row. */
export function RowButtons({ task }: { task: Task }) {
  return (
    <div className={styles.actions}>
      <TaskButtons task={task} of={task.id} look={{ variant: 'subtle', color: 'gray', size: 'compact-sm' }} />
    </div>
  );
}

/** The actions on a task now. @param props.of the text that distinguishes these buttons from those of other tasks */
export function TaskButtons({ task, of, look }: { task: Task; of: string; look: Look }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const can = findPossibleActions(task);
  const dispatch = useMutation({
    mutationFn: () => taskApi.dispatch(task.id),
    onError: (error) => notifyFailure(`${task.id} was not dispatched`, error),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.task(task.id) }),
  });
  const requeue = useMutation({
    mutationFn: () => taskApi.requeue(task.id),
    onError: (error) => notifyFailure(`${task.id} was not requeued`, error),
  });
  return (
    <>
      {can.dispatch && (
        <Button
          {...look}
          leftSection={<IconPlayerPlay size={14} />}
          loading={dispatch.isPending}
          onClick={() => dispatch.mutate()}
          aria-label={`Dispatch ${task.id}`}
          title="Give it to agents: the first matching node runs it"
          data-testid={`task-dispatch-${of}`}
        >
          Dispatch
        </Button>
      )}
      {can.requeue && (
        <Button
          {...look}
          leftSection={<IconRotateClockwise size={14} />}
          loading={requeue.isPending}
          onClick={() => requeue.mutate()}
          aria-label={`Requeue ${task.id}`}
          title="Queue it again with all its attempts"
          data-testid={`task-requeue-${of}`}
        >
          Requeue
        </Button>
      )}
      {can.cancel && (
        <Button
          {...look}
          leftSection={<IconX size={14} />}
          onClick={() => setAsking(true)}
          aria-label={`Cancel ${task.id}`}
          data-testid={`task-cancel-${of}`}
        >
          Cancel
        </Button>
      )}
      {asking && <CancelTask task={task} onClose={() => setAsking(false)} />}
    </>
  );
}
