import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Presence } from '../live/presence.ts';
import styles from './NodeName.module.css';
import { Light } from './Status.tsx';

/** A node in another thing's table: its presence, and a link to its own page while it is enrolled. */
export function NodeName(props: {
  node: string;
  presence: Presence | 'gone';
  testId: string;
  /** Further lines below the name. */
  children?: ReactNode;
}) {
  const { node, presence } = props;
  const online = presence === 'online';
  return (
    <>
      <span className={styles.node}>
        <Light tone={online ? 'good' : 'quiet'} label={online ? 'online' : 'offline'} />
        {presence === 'gone' ? (
          <span className={styles.name}>{node}</span>
        ) : (
          <Link to="/nodes" search={{ node }} className={styles.name} data-testid={props.testId}>
            {node}
          </Link>
        )}
      </span>
      {presence === 'gone' && <span className="second-line">no longer enrolled</span>}
      {props.children}
    </>
  );
}
