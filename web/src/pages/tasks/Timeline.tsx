import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { taskAuditQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { actionWords } from '../../format/task-words.ts';
import styles from './TaskPage.module.css';

/** The events of a task in the audit log, newest first. */
export function Timeline({ task }: { task: Task }) {
  const { data, error, isPending, refetch } = useQuery(taskAuditQuery(task.id));
  return (
    <Panel
      title="Timeline"
      note="from the audit log"
      testId="timeline-panel"
      actions={
        data !== undefined &&
        data.next !== null && (
          <Link to="/runtime/audit" search={{ correlation: task.id }} className="link">
            Show all
          </Link>
        )
      }
    >
      {isPending && <Loading what="the timeline" />}
      {data === undefined && error !== null && (
        <Failure what="The timeline" error={error} retry={refetch} testId="timeline-failure" />
      )}
      {data !== undefined && data.rows.length === 0 && <p className="dim">No entry yet.</p>}
      {data !== undefined && data.rows.length > 0 && (
        <ol className={styles.timeline} data-testid="timeline">
          {data.rows.map((entry) => (
            <li key={entry.id} className={styles.step} data-testid={`step-${entry.action}`}>
              <div className={styles.stepHead}>
                <strong>{actionWords(entry)}</strong>
                <Ago at={entry.timestamp} />
              </div>
              <div className={styles.stepText}>
                {[entry.detail, entry.actor === '' ? '' : `by ${entry.actor}`].filter(Boolean).join(' · ')}
              </div>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
