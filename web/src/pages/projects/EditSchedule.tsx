import { SegmentedControl, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { findFieldProblem, withoutShownFields } from '../../api/problem.ts';
import { projectApi } from '../../api/project-calls.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import { readCron } from '../../format/cron-words.ts';
import styles from './Forms.module.css';
import { PRESETS, SCHEDULES, type ScheduleKind } from './schedule-kinds.ts';
import { useProjectsCache } from './use-projects-cache.ts';

const CUSTOM = 'own';

/** The form for a schedule: a preset or an expression, described in words as it is typed. */
export function EditSchedule(props: {
  project: ProjectSummary;
  kind: ScheduleKind;
  cron: string;
  onClose: () => void;
}) {
  const { project, kind } = props;
  const { title, field } = SCHEDULES[kind];
  const [typed, setTyped] = useState(props.cron);
  const cron = typed.trim().replaceAll(/\s+/g, ' ');
  const cache = useProjectsCache();
  const save = useMutation({
    mutationFn: () => projectApi.update(project.id, { [field]: { cron } }),
    onSuccess: (saved) => {
      cache.show(saved);
      notifyDone(`The schedule of ${project.name} was saved`);
      props.onClose();
    },
  });
  const { form, error } = useFormError(save.error, { [field]: { cron } });
  const reading = readCron(cron);
  const preset = PRESETS.find(({ value }) => value === cron)?.value ?? CUSTOM;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog title={`${title}: when for ${project.name}`} testId="schedule-dialog" onClose={props.onClose}>
      <form ref={form} className={styles.form} onSubmit={submit}>
        <SegmentedControl
          data={[...PRESETS, { value: CUSTOM, label: 'Other' }]}
          value={preset}
          onChange={(value) => {
            if (value !== CUSTOM) setTyped(value);
          }}
          aria-label="How often"
          fullWidth
          data-testid="schedule-presets"
        />
        <TextInput
          label="Cron expression"
          description="Minute, hour, day of month, month, day of week; in UTC."
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          error={findFieldProblem(error, field)}
          required
          maxLength={128}
          spellCheck={false}
          classNames={{ input: 'mono' }}
          data-autofocus
          data-testid="schedule-cron"
        />
        <p
          className={styles.reading}
          data-wrong={'problem' in reading}
          role="status"
          data-testid="schedule-reading"
        >
          {'words' in reading ? reading.words : reading.problem}
        </p>
        <FormFooter
          prefix="schedule"
          error={withoutShownFields(error, [field])}
          onCancel={props.onClose}
          submit={{
            label: 'Save',
            id: 'save',
            isPending: save.isPending,
            disabled: cron === '' || cron === props.cron,
          }}
        />
      </form>
    </Dialog>
  );
}
