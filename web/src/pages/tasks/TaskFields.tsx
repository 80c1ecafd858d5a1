import { Checkbox, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import { PROPOSAL_TYPE } from '../../../../contract/projects/proposals.ts';
import { findFieldProblem } from '../../api/problem.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { FoldedOptions } from '../../components/FoldedOptions.tsx';
import { compareNames } from '../../format/order.ts';
import { OPTION_FIELDS, RESULT_TYPE, type TaskDraft, type TaskFieldsProps } from './task-draft.ts';
import styles from './TaskForm.module.css';
import { TaskOptions } from './TaskOptions.tsx';

const FORMATS = [
  { value: 'text', label: 'Text' },
  { value: 'json', label: 'JSON' },
];
const TYPES = [
  { value: RESULT_TYPE, label: 'A result' },
  { value: PROPOSAL_TYPE, label: 'A proposal' },
];

/** A task's fields; `error` marks the refused ones. */
export function TaskFields(props: TaskFieldsProps) {
  const { draft, onChange, error, prefix } = props;
  const problem = (field: string) => findFieldProblem(error, `${prefix}${field}`);
  const wrong = OPTION_FIELDS.some((field) => problem(field) !== null);
  return (
    <>
      <Textarea
        label="Prompt"
        placeholder="What the agent must do"
        value={draft.prompt}
        onChange={(event) => onChange({ prompt: event.currentTarget.value })}
        error={problem('prompt')}
        required
        autosize
        minRows={6}
        maxRows={18}
        classNames={{ input: 'mono' }}
        data-autofocus
        data-testid="task-prompt"
      />
      <div className={styles.pair}>
        <TextInput
          label="Agent"
          description="The role that the program gets."
          placeholder="default"
          value={draft.agent}
          onChange={(event) => onChange({ agent: event.currentTarget.value })}
          error={problem('agent_slug')}
          maxLength={128}
          spellCheck={false}
          data-testid="task-agent"
        />
        <TextInput
          label="Context ID"
          description="Tasks of one context share a session."
          placeholder="generated when empty"
          value={draft.contextId}
          onChange={(event) => onChange({ contextId: event.currentTarget.value })}
          error={problem('context_id')}
          maxLength={256}
          spellCheck={false}
          data-testid="task-context"
        />
      </div>
      <div className={styles.pair}>
        <Choice
          label="Output format"
          data={FORMATS}
          value={draft.format}
          onChange={(format) => onChange({ format: format as TaskDraft['format'] })}
          error={problem('desired_format')}
          testId="task-format"
        />
        <Choice
          label="What it makes"
          data={TYPES}
          value={draft.type}
          onChange={(type) => onChange({ type: type as TaskDraft['type'] })}
          error={problem('artifact_type')}
          testId="task-type"
        />
      </div>
      <Project {...props} />
      {/* Tasks of a schedule are always dispatched. */}
      {prefix === '' && (
        <Checkbox
          label="Auto-dispatch"
          description="Agents take it automatically. Otherwise it waits until somebody dispatches or leases it."
          checked={draft.autoDispatch}
          onChange={(event) => onChange({ autoDispatch: event.currentTarget.checked })}
          data-testid="task-auto"
        />
      )}
      <FoldedOptions wrong={wrong} testId="task-options-toggle">
        <TaskOptions {...props} />
      </FoldedOptions>
    </>
  );
}

function Choice(props: {
  label: string;
  data: { value: string; label: string }[];
  value: string;
  onChange: (value: string) => void;
  error: string | null;
  testId: string;
}) {
  const id = useId();
  return (
    <div className={styles.choice}>
      <span id={id}>{props.label}</span>
      <SegmentedControl
        data={props.data}
        value={props.value}
        onChange={props.onChange}
        aria-labelledby={id}
        fullWidth
        data-testid={props.testId}
      />
      {props.error !== null && <span className={styles.problem}>{props.error}</span>}
    </div>
  );
}

function Project({ draft, onChange, error, prefix }: TaskFieldsProps) {
  const projects = useQuery(projectsQuery).data ?? [];
  const proposes = draft.type === PROPOSAL_TYPE;
  const choices = projects
    .map(({ id, name }) => ({ value: id, label: name }))
    .toSorted((a, b) => compareNames(a.label, b.label));
  return (
    <Select
      label="Project"
      description={
        proposes
          ? 'Its change is committed to this project once a person approves it.'
          : 'It runs in the clone of this project.'
      }
      placeholder={projects.length === 0 ? 'no project yet' : 'none'}
      data={choices}
      value={draft.project}
      onChange={(project) => onChange({ project })}
      error={findFieldProblem(error, `${prefix}project_id`)}
      required={proposes}
      clearable
      clearButtonProps={{ 'aria-label': 'No project' }}
      searchable={choices.length > 12}
      limit={100}
      data-testid="task-project"
    />
  );
}
