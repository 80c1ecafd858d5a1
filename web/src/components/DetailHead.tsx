import type { ReactNode } from 'react';
import styles from './DetailHead.module.css';

/** The head of a page about one thing: what it is called and how it stands, what there is to say, and what can be done. */
export function DetailHead(props: {
  /** The heading, and what stands on its line. */
  title: ReactNode;
  /** Whether there is a line or two below the title, and never more. */
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
