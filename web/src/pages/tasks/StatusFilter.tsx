import { TaskStatus } from '../../../../contract/tasks/tasks.ts';
import { count } from '../../format/numbers.ts';
import { TASK_STATUSES } from '../../format/task-words.ts';
import { Light } from '../../components/Status.tsx';
import styles from './StatusFilter.module.css';

/** How many tasks have each status; pressing one shows only those. */
export function StatusFilter(props: {
  status: TaskStatus | undefined;
  /** Undefined while unknown. */
  counts: Readonly<Record<string, number>> | undefined;
  total: number | undefined;
  onChange: (status: TaskStatus | undefined) => void;
}) {
  const { status, counts, total, onChange } = props;
  return (
    <div className={styles.row} role="group" aria-label="Show tasks that are" data-testid="status-filter">
      <Choice
        name="All"
        number={total}
        chosen={status === undefined}
        onPress={() => onChange(undefined)}
        testId="status-all"
      />
      {TaskStatus.options.map((each) => {
        const { label, tone } = TASK_STATUSES[each];
        return (
          <Choice
            key={each}
            name={label}
            tone={tone}
            number={counts === undefined ? undefined : (counts[each] ?? 0)}
            chosen={status === each}
            onPress={() => onChange(status === each ? undefined : each)}
            testId={`status-${each}`}
          />
        );
      })}
    </div>
  );
}

function Choice(props: {
  name: string;
  tone?: (typeof TASK_STATUSES)[TaskStatus]['tone'];
  number: number | undefined;
  chosen: boolean;
  onPress: () => void;
  testId: string;
}) {
  const { name, tone, number } = props;
  return (
    <button
      type="button"
      className={styles.choice}
      aria-pressed={props.chosen}
      data-none={number === 0}
      onClick={props.onPress}
      data-testid={props.testId}
    >
      <span className={styles.name}>
        {tone !== undefined && <Light tone={number === 0 ? 'quiet' : tone} />}
        {name}
      </span>
      <span className={styles.number} data-testid={`${props.testId}-count`}>
        {number === undefined ? '–' : count(number)}
      </span>
    </button>
  );
}
