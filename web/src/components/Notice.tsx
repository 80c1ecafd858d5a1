import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { errorSentence } from '../api/problem.ts';
import styles from './Notice.module.css';

/** An empty state: what this place is for, and what to do first. */
export function Empty(props: { title: string; children: ReactNode; testId: string }) {
  return (
    <div className={styles.notice} data-testid={props.testId}>
      <strong>{props.title}</strong>
      <p>{props.children}</p>
    </div>
  );
}

/** What could not be loaded, why, and a button to try again. */
export function Failure(props: { what: string; error: Error; retry: () => unknown; testId?: string }) {
  return (
    <div className={styles.notice} role="alert" data-testid={props.testId ?? 'failure'}>
      <strong>{props.what} could not be loaded</strong>
      <p>{errorSentence(props.error)}</p>
      <Button variant="default" size="xs" onClick={() => void props.retry()} data-testid="failure-retry">
        Try again
      </Button>
    </div>
  );
}

/** Holds the place of a list that is loading. */
export function Loading({ what }: { what: string }) {
  return (
    <div className={styles.notice} role="status">
      <p>Loading {what}…</p>
    </div>
  );
}
