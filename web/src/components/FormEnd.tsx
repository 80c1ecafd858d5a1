import { Button, Group } from '@mantine/core';
import { wordsOf } from '../api/problem.ts';
import styles from './FormEnd.module.css';

/** What a dialog's form ends with: what went wrong, and the two ways out. */
export function FormEnd(props: {
  /** Of the parts' test ids. */
  prefix: string;
  error: Error | null;
  onCancel: () => void;
  submit: { label: string; id: string; isPending: boolean; disabled: boolean };
}) {
  const { prefix, error, submit } = props;
  return (
    <>
      {error !== null && (
        <p role="alert" className={styles.failure} data-testid={`${prefix}-error`}>
          {wordsOf(error)}
        </p>
      )}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={props.onCancel} data-testid={`${prefix}-cancel`}>
          Cancel
        </Button>
        <Button
          type="submit"
          loading={submit.isPending}
          disabled={submit.disabled}
          data-testid={`${prefix}-${submit.id}`}
        >
          {submit.label}
        </Button>
      </Group>
    </>
  );
}
