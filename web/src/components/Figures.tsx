import type { ReactNode } from 'react';
import styles from './Figures.module.css';

export interface Figure {
  readonly label: string;
  readonly value: string;
  readonly note?: ReactNode;
  readonly testId: string;
}

/** A row of figures, each with its name and a note below. */
export function Figures({ figures, label }: { figures: readonly Figure[]; label: string }) {
  return (
    <dl className={styles.row} aria-label={label}>
      {figures.map((figure) => (
        <div key={figure.testId} className={styles.figure}>
          <dt>{figure.label}</dt>
          <dd className={styles.value} data-testid={figure.testId}>
            {figure.value}
          </dd>
          {figure.note !== undefined && <dd className={styles.note}>{figure.note}</dd>}
        </div>
      ))}
    </dl>
  );
}
