import type { ReactNode } from 'react';
import styles from './Panel.module.css';

/** A titled section of a page. `flush` lets a table reach the edges. */
export function Panel(props: {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  flush?: boolean;
  testId: string;
  children: ReactNode;
}) {
  return (
    <section className={styles.panel} aria-label={props.title} data-testid={props.testId}>
      <header className={styles.header}>
        <h2>{props.title}</h2>
        {props.note !== undefined && <span className={styles.note}>{props.note}</span>}
        {props.actions !== undefined && <div className={styles.actions}>{props.actions}</div>}
      </header>
      <div className={props.flush === true ? undefined : styles.body}>{props.children}</div>
    </section>
  );
}
