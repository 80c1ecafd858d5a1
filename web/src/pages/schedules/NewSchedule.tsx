import { Drawer, SegmentedControl, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { FieldProblem } from '../../../../contract/errors.ts';
import type { TaskSchedule } from '../../../../contract/tasks/tasks.ts';
import { keys } from '../../api/keys.ts';
import { findFieldProblem, makeFormProblem, withoutShownFields } from '../../api/problem.ts';
import { taskApi } from '../../api/task-calls.ts';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import { readCron } from '../../format/cron-words.ts';
import { PRESETS } from '../projects/schedule-kinds.ts';
import { toTaskBody, EMPTY_TASK, findProblems, type TaskDraft } from '../tasks/task-draft.ts';
import { TaskFields } from '../tasks/TaskFields.tsx';
import form from '../tasks/TaskForm.module.css';
import styles from '../projects/Forms.module.css';

const CUSTOM = 'own';
const FIRST_CRON = '0 3 * * *';

/** The form of a new schedule: its times, and the task that it makes. */
export function NewSchedule({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      size={640}
      title={<strong>New schedule</strong>}
      attributes={dialogAttributes('new-schedule')}
    >
      <ScheduleForm onClose={onClose} />
    </Drawer>
  );
}

function ScheduleForm({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [typed, setTyped] = useState(FIRST_CRON);
  const [draft, setDraft] = useState<TaskDraft>(EMPTY_TASK);
  const cron = typed.trim().replaceAll(/\s+/g, ' ');
  const reading = readCron(cron);
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: async () => {
      const problems: FieldProblem[] = findProblems(draft).map(({ field, problem }) => ({
        field: `task.${field}`,
        problem,
      }));
      if (name.trim() === '') problems.unshift({ field: 'name', problem: 'is missing' });
      if (problems.length > 0) throw makeFormProblem(problems);
      return await taskApi.createSchedule({ name: name.trim(), cron, task: toTaskBody(draft) });
    },
    onSuccess: (made) => {
      cache.setQueryData<TaskSchedule[]>(keys.taskSchedules, (all) => all && [...all, made]);
      notifyDone(`${made.name} was created`);
      onClose();
    },
  });
  const { form: ref, error } = useFormError(create.error, {
    name: name.trim(),
    cron,
    task: toTaskBody(draft),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!create.isPending) create.mutate();
  };
  return (
    <form ref={ref} className={form.form} onSubmit={submit} noValidate data-testid="schedule-form">
      <TextInput
        label="Name"
        placeholder="nightly review"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={findFieldProblem(error, 'name')}
        required
        maxLength={128}
        data-autofocus
        data-testid="schedule-name"
      />
      <SegmentedControl
        data={[...PRESETS, { value: CUSTOM, label: 'Other' }]}
        value={PRESETS.find(({ value }) => value === cron)?.value ?? CUSTOM}
        onChange={(value) => setTyped(value === CUSTOM ? '' : value)}
        aria-label="How often"
        fullWidth
        data-testid="schedule-presets"
      />
      <TextInput
        label="Cron expression"
        description="Minute, hour, day of month, month, day of week; in UTC."
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        error={findFieldProblem(error, 'cron')}
        required
        maxLength={128}
        spellCheck={false}
        classNames={{ input: 'mono' }}
        data-testid="schedule-cron"
      />
      <p
        className={styles.reading}
        data-wrong={'problem' in reading && cron !== ''}
        role="status"
        data-testid="schedule-reading"
      >
        {'words' in reading ? reading.words : reading.problem}
      </p>
      <TaskFields
        draft={draft}
        onChange={(part) => setDraft((before) => ({ ...before, ...part }))}
        error={error}
        prefix="task."
      />
      <div className={form.end}>
        <FormFooter
          prefix="schedule"
          error={withoutShownFields(error, ['name', 'cron', 'task'])}
          onCancel={onClose}
          submit={{
            label: 'Create schedule',
            id: 'submit',
            isPending: create.isPending,
            disabled: false,
          }}
        />
      </div>
    </form>
  );
}
