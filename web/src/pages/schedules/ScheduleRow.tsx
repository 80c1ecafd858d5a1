import { Button, Switch } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import type { TaskSchedule } from '../../../../contract/tasks/tasks.ts';
import { keys } from '../../api/keys.ts';
import { taskApi } from '../../api/task-calls.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { readCron } from '../../format/cron-words.ts';
import { shortenPrompt } from '../../format/task-words.ts';
import { absoluteTime, longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import styles from '../tasks/Tasks.module.css';

/** One schedule: its times, its task, and whether it is paused. */
export function ScheduleRow({ schedule }: { schedule: TaskSchedule }) {
  const { id, name, cron, paused, last_task_id: last } = schedule;
  const cache = useQueryClient();
  const reading = readCron(cron);
  const pause = useMutation({
    mutationFn: (on: boolean) => taskApi.pauseSchedule(id, on),
    onSuccess: (saved) =>
      cache.setQueryData<TaskSchedule[]>(keys.taskSchedules, (all) =>
        all?.map((each) => (each.id === id ? saved : each)),
      ),
    onError: (error) => notifyFailure(`${name} was not changed`, error),
  });
  // As it was just set, until the answer tells how it is.
  const isPaused = pause.isPending ? pause.variables : paused;
  return (
    <tr data-testid={`schedule-row-${name}`}>
      <td>
        <strong className={styles.named}>{name}</strong>
        <span className="second-line">{schedule.task.agent_slug ?? 'default'}</span>
      </td>
      <td className={styles.short}>
        <span data-testid={`schedule-words-${name}`} title={cron}>
          {'words' in reading ? reading.words.replace(' (UTC)', '') : <code>{cron}</code>}
        </span>
        <span className="second-line">{isPaused ? 'paused' : <Due at={schedule.next_at} />}</span>
      </td>
      <td className={styles.prompt}>{shortenPrompt(schedule.task.prompt)}</td>
      <td>
        {last === null ? (
          <span className="dim">none yet</span>
        ) : (
          <Link to="/runtime/tasks/$taskId" params={{ taskId: last }} className={styles.id}>
            {last}
          </Link>
        )}
      </td>
      <td>
        <Switch
          aria-label={`${name} makes tasks`}
          checked={!isPaused}
          onChange={(event) => pause.mutate(!event.currentTarget.checked)}
          data-testid={`schedule-on-${name}`}
        />
      </td>
      <td data-align="end">
        <div className={styles.actions}>
          <DeleteSchedule schedule={schedule} />
        </div>
      </td>
    </tr>
  );
}

function Due({ at }: { at: number | null }) {
  const now = useNow();
  if (at === null) return <>next time not known yet</>;
  return (
    <time dateTime={new Date(at).toISOString()} title={absoluteTime(at)}>
      {at <= now ? 'due now' : `next in ${longSpan(at - now)}`}
    </time>
  );
}

function DeleteSchedule({ schedule: { id, name } }: { schedule: TaskSchedule }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => taskApi.removeSchedule(id),
    onSuccess: () => {
      cache.setQueryData<TaskSchedule[]>(keys.taskSchedules, (all) => all?.filter((each) => each.id !== id));
      notifyDone(`${name} was deleted`);
    },
    onError: (error) => notifyFailure(`${name} was not deleted`, error),
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        leftSection={<IconTrash size={14} />}
        onClick={() => setAsking(true)}
        aria-label={`Delete the schedule ${name}`}
        data-testid={`schedule-delete-${name}`}
      >
        Delete
      </Button>
      <ConfirmDialog
        opened={asking}
        title={`Delete ${name}?`}
        confirm={`Delete ${name}`}
        decline="Keep it"
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onCancel={() => setAsking(false)}
      >
        It stops making tasks. The tasks that it made stay.
      </ConfirmDialog>
    </>
  );
}
