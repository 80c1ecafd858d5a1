import { Autocomplete, NumberInput, Select, TagsInput, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { findFieldProblem } from '../../api/problem.ts';
import { enrolledNodesQuery } from '../../api/queries.ts';
import { compareNames } from '../../format/order.ts';
import type { TaskFieldsProps } from './task-draft.ts';
import styles from './TaskForm.module.css';

const PRIORITIES = [
  { value: '1', label: '1 – first' },
  { value: '2', label: '2' },
  { value: '3', label: '3 – as usual' },
  { value: '4', label: '4' },
  { value: '5', label: '5 – last' },
];

/** Where lists of choices open: inside the page's landmark. */
const comboboxProps = { portalProps: { target: '#main' } };

/** The rarely used settings of a task: where and when it runs, and its limits. */
export function TaskOptions({ draft, onChange, error, prefix }: TaskFieldsProps) {
  const fleet = useQuery(enrolledNodesQuery).data ?? [];
  const nodes = fleet.map(({ id }) => id).sort(compareNames);
  const labels = [...new Set(fleet.flatMap(({ capabilities }) => capabilities.labels))].sort(compareNames);
  const problem = (field: string) => findFieldProblem(error, `${prefix}${field}`);
  return (
    <>
      <Autocomplete
        label="Pool"
        description="A label that its node must have."
        placeholder="default: every node"
        data={labels}
        value={draft.pool}
        onChange={(pool) => onChange({ pool })}
        error={problem('pool')}
        maxLength={63}
        comboboxProps={comboboxProps}
        data-testid="task-pool"
      />
      <Select
        label="Node"
        description="The only node that may run it."
        placeholder="whichever fits"
        data={nodes}
        value={draft.node}
        onChange={(node) => onChange({ node })}
        error={problem('worker_id')}
        clearable
        clearButtonProps={{ 'aria-label': 'Clear the node' }}
        searchable={nodes.length > 12}
        limit={100}
        data-testid="task-node"
      />
      <Select
        label="Priority"
        description="Orders the tasks that wait for the same nodes."
        data={PRIORITIES}
        value={draft.priority}
        onChange={(priority) => onChange({ priority: priority ?? '3' })}
        error={problem('priority')}
        allowDeselect={false}
        data-testid="task-priority"
      />
      <NumberInput
        label="Attempts"
        description="1 to 10. After the last failed one, the task is dead."
        placeholder="3"
        value={draft.attempts}
        onChange={(attempts) => onChange({ attempts })}
        error={problem('max_attempts')}
        allowDecimal={false}
        allowNegative={false}
        hideControls
        data-testid="task-attempts"
      />
      <NumberInput
        label="Time-out"
        description="The most seconds for one attempt, up to 3,600."
        placeholder="120"
        suffix=" s"
        value={draft.timeout}
        onChange={(timeout) => onChange({ timeout })}
        error={problem('policy.timeout_sec')}
        allowDecimal={false}
        allowNegative={false}
        hideControls
        data-testid="task-timeout"
      />
      <NumberInput
        label="Budget"
        description="The most US dollars for one attempt."
        placeholder="no limit"
        prefix="$"
        value={draft.budget}
        onChange={(budget) => onChange({ budget })}
        error={problem('policy.budget')}
        allowNegative={false}
        decimalScale={4}
        hideControls
        data-testid="task-budget"
      />
      {prefix === '' && (
        <TextInput
          type="datetime-local"
          label="Not before"
          description="In this browser’s time zone."
          value={draft.notBefore}
          onChange={(event) => onChange({ notBefore: event.currentTarget.value })}
          error={problem('not_before')}
          data-testid="task-not-before"
        />
      )}
      <TagsInput
        label="Tags"
        description="Labels for finding it. Its artifacts get them, too."
        value={[...draft.tags]}
        onChange={(tags) => onChange({ tags })}
        error={problem('tags')}
        maxTags={32}
        comboboxProps={comboboxProps}
        data-testid="task-tags"
      />
      <Textarea
        label="Context hints"
        description="Lines before the prompt: paths and globs in the project, or @memory/recent, one a line."
        value={draft.hints}
        onChange={(event) => onChange({ hints: event.currentTarget.value })}
        error={problem('context_hints')}
        autosize
        minRows={2}
        maxRows={8}
        className={styles.wide}
        classNames={{ input: 'mono' }}
        data-testid="task-hints"
      />
      <TextInput
        label="Webhook"
        description="This address receives a signed POST when the task has ended."
        placeholder="https://example.org/hook"
        value={draft.webhook}
        onChange={(event) => onChange({ webhook: event.currentTarget.value })}
        error={problem('webhook_url')}
        inputMode="url"
        maxLength={2_048}
        spellCheck={false}
        className={styles.wide}
        data-testid="task-webhook"
      />
    </>
  );
}
