import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import type { FormEvent } from 'react';
import { DEFAULT_POOL } from '../../../../contract/tasks/tasks.ts';
import { ApiProblem, makeFormProblem, withoutShownFields } from '../../api/problem.ts';
import { nodesQuery } from '../../api/queries.ts';
import { taskApi } from '../../api/task-calls.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import { useAbortable } from '../../components/use-abortable.ts';
import { useFormError } from '../../components/use-form-error.ts';
import { useNow } from '../../live/clock.ts';
import { takesTasks } from '../../live/presence.ts';
import { makeIdempotencyKey, type NewTaskForm } from './new-task-form.ts';
import { toTaskBody, findProblems, TASK_FIELDS, type TaskDraft } from './task-draft.ts';
import { TaskFields } from './TaskFields.tsx';
import styles from './TaskForm.module.css';

/** The form for a new task. */
export function TaskForm(props: {
  making: NewTaskForm;
  onChange: (change: (before: NewTaskForm) => NewTaskForm) => void;
  onCancel: () => void;
}) {
  const { draft, key } = props.making;
  const navigate = useNavigate();
  const abortable = useAbortable();
  const create = useMutation({
    mutationFn: async () => {
      const problems = findProblems(draft);
      if (problems.length > 0) throw makeFormProblem(problems);
      return await taskApi.create(toTaskBody(draft), key, abortable());
    },
    onSuccess: async (task) => {
      notifyDone(draft.autoDispatch ? 'The task was created and dispatched' : 'The task was created');
      await navigate({ to: '/runtime/tasks/$taskId', params: { taskId: task.id } });
    },
    onError: (error) => {
      // An earlier try succeeded after all, with the former text. The present text is another task.
      if (findEarlierTask(error) !== null)
        props.onChange((before) => ({ ...before, key: makeIdempotencyKey() }));
    },
  });
  const { form, error } = useFormError(create.error, toTaskBody(draft));
  const made = findEarlierTask(create.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!create.isPending) create.mutate();
  };
  return (
    <form ref={form} className={styles.form} onSubmit={submit} noValidate data-testid="task-form">
      <TaskFields
        draft={draft}
        onChange={(part) => props.onChange((before) => ({ ...before, draft: { ...before.draft, ...part } }))}
        error={error}
        prefix=""
      />
      <WaitNotice draft={draft} />
      {made !== null && (
        <p className={styles.notice} role="status" data-testid="task-made-before">
          Your first try was accepted as{' '}
          <Link to="/runtime/tasks/$taskId" params={{ taskId: made }} className="link">
            {made}
          </Link>
          , with the text of that time. To make another task with the present text, press the button again.
        </p>
      )}
      <div className={styles.end}>
        <FormFooter
          prefix="task"
          error={made === null ? withoutShownFields(error, TASK_FIELDS) : null}
          onCancel={props.onCancel}
          submit={{
            label: draft.autoDispatch ? 'Create and dispatch' : 'Create task',
            id: 'submit',
            isPending: create.isPending,
            disabled: false,
          }}
        />
      </div>
    </form>
  );
}

/** Returns the task that an earlier try of this form made, when the API reports one. */
function findEarlierTask(error: Error | null): string | null {
  if (!(error instanceof ApiProblem) || error.code !== 'conflict') return null;
  return /\btask_[0-9a-f]{16}\b/.exec(error.message)?.[0] ?? null;
}

/** Says that a task will wait, when no node could take it now. */
function WaitNotice({ draft }: { draft: TaskDraft }) {
  const nodes = useQuery(nodesQuery).data;
  const now = useNow();
  if (nodes === undefined || !draft.autoDispatch) return null;
  const pool = draft.pool.trim();
  const fits = nodes.some(
    (node) =>
      takesTasks(node, now) &&
      (draft.node === null || node.id === draft.node) &&
      (pool === '' || pool === DEFAULT_POOL || node.capabilities.labels.includes(pool)),
  );
  if (fits) return null;
  const where =
    draft.node !== null
      ? `${draft.node} does not take tasks now`
      : pool !== '' && pool !== DEFAULT_POOL
        ? `No node with the label ${pool} takes tasks now`
        : 'No node that runs tasks is online';
  return (
    <p className={styles.notice} role="status" data-testid="task-will-wait">
      {where}. You can create the task anyway: it waits in the queue until one does.
    </p>
  );
}
