import type { ReactNode } from 'react';
import type { Tone } from '../format/words.ts';
import styles from './Status.module.css';

/** A status light. It needs words beside it, or a `label`. */
export function Light({ tone, label }: { tone: Tone; label?: string }) {
  const named =
    label === undefined ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label, title: label };
  return <span className={styles.light} data-tone={tone} {...named} />;
}

/** A status in words, with its light. */
export function Status(props: { tone: Tone; children: ReactNode; testId?: string }) {
  return (
    <span className={styles.status} data-tone={props.tone} data-testid={props.testId}>
      <Light tone={props.tone} />
      {props.children}
    </span>
  );
}
