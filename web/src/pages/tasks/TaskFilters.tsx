import { Button, Select } from '@mantine/core';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { TextFilter } from '../../components/TextFilter.tsx';
import { compareNames } from '../../format/order.ts';
import { FIELDS, countUsedFields, type TaskSearch } from './task-filter.ts';
import styles from './Tasks.module.css';

/** Keeps the chosen value among the choices, even when its thing is gone. */
function choicesOf(
  known: readonly { value: string; label: string }[],
  chosen: string | undefined,
): { value: string; label: string }[] {
  const sorted = known.toSorted((a, b) => compareNames(a.label, b.label));
  const isThere = chosen === undefined || known.some(({ value }) => value === chosen);
  return isThere ? sorted : [{ value: chosen, label: chosen }, ...sorted];
}

/** The filters besides status and text, each stored in the address. */
export function TaskFilters(props: {
  search: TaskSearch;
  nodes: readonly Node[];
  projects: readonly ProjectSummary[];
  onChange: (part: Partial<TaskSearch>, replace: boolean) => void;
}) {
  const { search, onChange } = props;
  const text = (field: 'agent' | 'context' | 'pool' | 'tag', label: string, maxLength: number) => (
    <TextFilter
      label={label}
      seen
      placeholder="any"
      value={search[field]}
      onChange={(value) => onChange({ [field]: value }, true)}
      maxLength={maxLength}
      testId={`tasks-${field}`}
    />
  );
  const choice = (
    field: 'worker' | 'project',
    label: string,
    known: readonly { value: string; label: string }[],
  ) => (
    <Select
      size="xs"
      label={label}
      placeholder="any"
      data={choicesOf(known, search[field])}
      value={search[field] ?? null}
      onChange={(value) => onChange({ [field]: value ?? undefined }, false)}
      clearable
      clearButtonProps={{ 'aria-label': `Any ${label.toLowerCase()}` }}
      searchable
      limit={100}
      data-testid={`tasks-${field}`}
    />
  );
  return (
    <div className={styles.filters} role="group" aria-label="Filters" data-testid="tasks-filters">
      {text('agent', 'Agent', 128)}
      {text('context', 'Context', 256)}
      {choice(
        'worker',
        'Worker',
        props.nodes.map(({ id }) => ({ value: id, label: id })),
      )}
      {choice(
        'project',
        'Project',
        props.projects.map(({ id, name }) => ({ value: id, label: name })),
      )}
      {text('pool', 'Pool', 64)}
      {text('tag', 'Tag', 64)}
      {countUsedFields(search) > 0 && (
        <Button
          variant="subtle"
          color="gray"
          size="xs"
          onClick={() => onChange(Object.fromEntries(FIELDS.map((field) => [field, undefined])), false)}
          data-testid="tasks-clear"
        >
          Clear filters
        </Button>
      )}
    </div>
  );
}
