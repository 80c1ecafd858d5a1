import { useQuery } from '@tanstack/react-query';
import type { Job } from '../../../../contract/memory/memory.ts';
import { runningJobQuery } from '../../api/queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { History } from '../../components/History.tsx';
import { Status } from '../../components/Status.tsx';
import { bytes, count } from '../../format/numbers.ts';
import { duration, span } from '../../format/time.ts';
import { ACTIONS, JOB_STATUSES, TRIGGERS } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import styles from './JobRow.module.css';

/** One job. While it runs or waits, its detail comes live from Temporal. */
export function JobRow({ job: listed }: { job: Job }) {
  const job = useRunningDetail(listed);
  const { label, tone } = JOB_STATUSES[job.status];
  const received = job.rows_inserted + job.rows_updated + job.rows_deleted;
  return (
    <tr data-testid={`job-row-${job.id}`} data-status={job.status}>
      <td>
        <Ago at={job.created_at} />
      </td>
      <td className={styles.node}>{job.agent}</td>
      <td className={styles.action}>
        {ACTIONS[job.action]}
        <span className="second-line">{TRIGGERS[job.trigger]}</span>
      </td>
      <td>
        <Status tone={tone} testId={`job-status-${job.id}`}>
          {label}
        </Status>
      </td>
      <td className={styles.detail} data-testid={`job-detail-${job.id}`}>
        {job.detail}
        {job.error_code !== null && <span className="second-line mono">{job.error_code}</span>}
      </td>
      <td data-align="end" className={styles.moved} data-testid={`job-rows-${job.id}`}>
        <Both
          up={job.rows_sent}
          down={received}
          write={count}
          title={`${count(job.rows_sent)} sent, ${count(job.rows_inserted)} inserted, ${count(job.rows_updated)} updated, ${count(job.rows_deleted)} removed`}
        />
      </td>
      <td data-align="end" className={styles.moved}>
        <Both
          up={job.bytes_up}
          down={job.bytes_down}
          write={bytes}
          title={`${bytes(job.bytes_up)} up, ${bytes(job.bytes_down)} down, ${count(job.requests)} requests`}
        />
      </td>
      <td data-align="end" className={styles.moved}>
        <Took job={job} />
      </td>
      <td data-align="end">
        <History
          url={job.history_url}
          of={`this ${job.action} on ${job.agent}`}
          testId={`job-history-${job.id}`}
        />
      </td>
    </tr>
  );
}

/** Returns the job as listed, or with its live detail while it is not finished. */
function useRunningDetail(listed: Job): Job {
  const unfinished = listed.status === 'pending' || listed.status === 'running';
  const live = useQuery({ ...runningJobQuery(listed), enabled: unfinished });
  return unfinished ? live.data : listed;
}

function Both(props: { up: number; down: number; write: (value: number) => string; title: string }) {
  if (props.up === 0 && props.down === 0) return <span className="dim">–</span>;
  return (
    <span title={props.title} className={styles.both}>
      {props.up > 0 && <span>↑ {props.write(props.up)}</span>}
      {props.down > 0 && <span>↓ {props.write(props.down)}</span>}
    </span>
  );
}

function Took({ job }: { job: Job }) {
  const now = useNow();
  if (job.ms !== null) return duration(job.ms);
  if (job.finished_at !== null) return <span className="dim">–</span>;
  return <span className="dim">{span(now - job.created_at)}</span>;
}
