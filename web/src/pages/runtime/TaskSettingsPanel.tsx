import { Button, NumberInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { TaskSettings } from '../../../../contract/tasks/tasks.ts';
import { keys } from '../../api/keys.ts';
import { findFieldProblem, withoutShownFields, errorSentence } from '../../api/problem.ts';
import { taskApi } from '../../api/task-calls.ts';
import { taskSettingsQuery } from '../../api/task-queries.ts';
import { Failure, Loading } from '../../components/Notice.tsx';
import { notifyDone } from '../../components/notify.ts';
import { Panel } from '../../components/Panel.tsx';
import { useFormError } from '../../components/use-form-error.ts';
import styles from './TaskSettings.module.css';

const FIELDS = [
  {
    name: 'context_budget_usd',
    label: 'Budget of a context',
    help: 'US dollars that the tasks of one context may cost together, over all time.',
    none: 'no limit',
    prefix: '$',
  },
  {
    name: 'project_budget_usd',
    label: 'Budget of a project',
    help: 'US dollars that the tasks of one project may cost together in a calendar month (UTC).',
    none: 'no limit',
    prefix: '$',
  },
  {
    name: 'artifact_days',
    label: 'Keep artifacts',
    help: 'Days until their bytes are removed. Their names stay listed.',
    none: 'for ever',
    suffix: ' days',
  },
  {
    name: 'output_hours',
    label: 'Keep live output',
    help: 'Hours after an attempt. After that, only its log artifact has the output.',
    none: '24 hours',
    suffix: ' hours',
  },
] as const;
type Name = (typeof FIELDS)[number]['name'];

/** The cost ceilings of tasks, and retention times. */
export function TaskSettingsPanel() {
  const { data, error, isPending, refetch } = useQuery(taskSettingsQuery);
  return (
    <Panel title="Tasks" testId="task-settings-panel">
      {isPending && <Loading what="the settings of tasks" />}
      {data === undefined && error !== null && (
        <Failure what="The settings of tasks" error={error} retry={refetch} />
      )}
      {data !== undefined && <SettingsForm settings={data} />}
    </Panel>
  );
}

function SettingsForm({ settings }: { settings: TaskSettings }) {
  const cache = useQueryClient();
  const [typed, setTyped] = useState<Partial<Record<Name, number | string>>>({});
  const valueOf = (name: Name): number | string => typed[name] ?? settings[name] ?? '';
  const wanted = Object.fromEntries(
    FIELDS.map(({ name }) => [name, valueOf(name) === '' ? null : Number(valueOf(name))]),
  ) as unknown as TaskSettings;
  const changed = FIELDS.some(({ name }) => wanted[name] !== settings[name]);
  const save = useMutation({
    mutationFn: taskApi.saveSettings,
    onSuccess: (saved) => {
      cache.setQueryData<TaskSettings>(keys.taskSettings, saved);
      setTyped({});
      notifyDone('The settings of tasks were saved');
    },
  });
  const { form, error } = useFormError(save.error, { ...wanted });
  const rest = withoutShownFields(
    error,
    FIELDS.map(({ name }) => name),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate(wanted);
  };
  return (
    <form ref={form} className={styles.form} onSubmit={submit} noValidate data-testid="task-settings">
      <div className={styles.fields}>
        {FIELDS.map(({ name, label, help, none, ...look }) => (
          <NumberInput
            key={name}
            label={label}
            description={help}
            placeholder={none}
            {...look}
            value={valueOf(name)}
            onChange={(value) => setTyped((before) => ({ ...before, [name]: value }))}
            error={findFieldProblem(error, name)}
            allowNegative={false}
            allowDecimal={name.endsWith('usd')}
            thousandSeparator=","
            hideControls
            data-testid={`setting-${name}`}
          />
        ))}
      </div>
      {rest !== null && (
        <p role="alert" className={styles.failure} data-testid="task-settings-error">
          {errorSentence(rest)}
        </p>
      )}
      <div>
        <Button type="submit" loading={save.isPending} disabled={!changed} data-testid="task-settings-save">
          Save
        </Button>
      </div>
    </form>
  );
}
