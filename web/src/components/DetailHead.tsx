import type { ReactNode } from 'react';
import styles from './DetailHead.module.css';

/** The head of a page about one thing: its name and status, details, and actions. */
export function DetailHead(props: {
  /** The heading, and what stands beside it. */
  title: ReactNode;
  /** Whether one or two lines follow the title, and never more. */
  short?: boolean;
  actions: ReactNode;
  children: ReactNode;
}) {
  return (
    <header className={styles.head} data-short={props.short === true}>
      <div className={styles.names}>
        <div className={styles.title}>{props.title}</div>
        {props.children}
      </div>
      <div className={styles.actions}>{props.actions}</div>
    </header>
  );
}
