import type { ReactNode } from 'react';
import styles from './Table.module.css';

/** One column's heading; `quiet` headings are for screen readers only. */
export interface Column {
  readonly name: string;
  readonly align?: 'end';
  readonly quiet?: boolean;
  /** The heading's content, instead of its name. */
  readonly content?: ReactNode;
}

/** A table that scrolls sideways within itself, by mouse and keyboard, when it does not fit. */
export function Table(props: {
  label: string;
  columns: readonly Column[];
  testId: string;
  children: ReactNode;
}) {
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div className={styles.scroll} role="group" aria-label={props.label} tabIndex={0}>
      <table className={styles.table} aria-label={props.label} data-testid={props.testId}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.name} scope="col" data-align={column.align}>
                {column.quiet === true ? (
                  <span className="visually-hidden">{column.name}</span>
                ) : (
                  (column.content ?? column.name)
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}
