import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { AuditLog } from '../../../../contract/audit.ts';
import { Ago } from '../../components/Ago.tsx';
import { actionWords, ENTITIES } from '../../format/task-words.ts';
import styles from './Audit.module.css';

/** One entry. It never changes, so it is drawn once. */
export const AuditRow = memo(function AuditRow({ entry }: { entry: AuditLog }) {
  return (
    <tr data-testid={`audit-row-${entry.id}`}>
      <td>
        <Ago at={entry.timestamp} />
      </td>
      <td className={styles.action}>
        <Link
          to="/runtime/audit"
          search={(before) => ({ ...before, action: entry.action })}
          className={styles.quiet}
          title={`Only ${entry.action}`}
        >
          {actionWords(entry)}
        </Link>
      </td>
      <td className={styles.entity}>
        {ENTITIES[entry.entity_type]}
        <span className="second-line">
          <Thing entry={entry} />
        </span>
      </td>
      <td className={styles.short}>
        <Link
          to="/runtime/audit"
          search={(before) => ({ ...before, actor: entry.actor })}
          className={styles.quiet}
          title={`Only by ${entry.actor}`}
        >
          {entry.actor}
        </Link>
      </td>
      <td className={styles.detail}>
        {entry.detail}
        {entry.cause !== '' && <span className="second-line">{entry.cause}</span>}
      </td>
      <td className={styles.id}>
        {entry.correlation_id === '' ? (
          <span className="dim">–</span>
        ) : (
          <Link
            to="/runtime/audit"
            search={(before) => ({ ...before, correlation: entry.correlation_id })}
            className={styles.quiet}
            title="Show only related entries"
          >
            {entry.correlation_id}
          </Link>
        )}
      </td>
    </tr>
  );
});

/** The thing that the entry is about, with a link to its page where it has one. */
function Thing({ entry: { entity_type: kind, entity_id: id } }: { entry: AuditLog }) {
  switch (kind) {
    case 'llm_task':
      return (
        <Link to="/runtime/tasks/$taskId" params={{ taskId: id }} className={styles.id}>
          {id}
        </Link>
      );
    case 'proposal':
      return (
        <Link to="/runtime/proposals/$proposalId" params={{ proposalId: id }} className={styles.id}>
          {id}
        </Link>
      );
    case 'managed_project':
      return (
        <Link to="/membridge/projects/$project" params={{ project: id }} className={styles.id}>
          {id}
        </Link>
      );
    case 'worker':
      return (
        <Link to="/nodes" search={{ node: id }} className={styles.id}>
          {id}
        </Link>
      );
    default:
      return <span className={styles.id}>{id}</span>;
  }
}
