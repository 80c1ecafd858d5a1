import { Button, Group } from '@mantine/core';
import { useEffect, useState } from 'react';
import { errorSentence } from '../api/problem.ts';
import styles from './FormFooter.module.css';

/** How long a form waits for an answer before it says so, in milliseconds. */
const SLOW_MS = 4_000;

/** Returns whether a request has been running for long. */
function useSlow(isPending: boolean): boolean {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    if (!isPending) return;
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => {
      clearTimeout(timer);
      setSlow(false);
    };
  }, [isPending]);
  return isSlow;
}

/** The end of a dialog's form: the error, and the buttons. */
export function FormFooter(props: {
  /** The prefix of the parts' test ids. */
  prefix: string;
  error: Error | null;
  onCancel: () => void;
  submit: { label: string; id: string; isPending: boolean; disabled: boolean };
}) {
  const { prefix, error, submit } = props;
  const isSlow = useSlow(submit.isPending);
  return (
    <>
      {error !== null && (
        <p role="alert" className={styles.failure} data-testid={`${prefix}-error`}>
          {errorSentence(error)}
        </p>
      )}
      {isSlow && (
        <p role="status" className="dim" data-testid={`${prefix}-slow`}>
          The server has not answered yet. Press “Cancel” to stop waiting.
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
