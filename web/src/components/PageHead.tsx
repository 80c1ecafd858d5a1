import type { ReactNode } from 'react';
import styles from './PageHead.module.css';

/** A page's heading, one line about it, and what stands beside it. */
export function PageHead(props: { title: string; note: string; children?: ReactNode }) {
  return (
    <header className={styles.head}>
      <div>
        <h1>{props.title}</h1>
        <p className="dim">{props.note}</p>
      </div>
      {props.children !== undefined && <div className={styles.side}>{props.children}</div>}
    </header>
  );
}
