import type { UseQueryResult } from '@tanstack/react-query';
import type { TaskResult } from '../../../../contract/tasks/leases.ts';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { contentAddress } from '../../api/task-calls.ts';
import { Copy } from '../../components/Copy.tsx';
import { Failure } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Text } from './Prompt.tsx';
import styles from './TaskPage.module.css';

/** How many bytes of a result the API returns with it. */
const INLINE_BYTES = 65_536;

/** The result of a task, once there is one. */
export function Result(props: { task: Task; results: UseQueryResult<TaskResult[]> }) {
  const { task, results } = props;
  if (task.status !== 'completed') return null;
  if (results.data === undefined) {
    if (results.error === null) return null;
    return (
      <Panel title="Result" testId="result-panel">
        <Failure what="The result" error={results.error} retry={results.refetch} />
      </Panel>
    );
  }
  const result = results.data.find(({ status }) => status === 'success');
  if (result === undefined) return null;
  const { output, artifact_id: artifact, notes } = result;
  const text = output === null ? null : task.desired_format === 'json' ? formatJson(output) : output;
  const isCut = output !== null && new TextEncoder().encode(output).length >= INLINE_BYTES;
  return (
    <Panel
      title="Result"
      note={task.desired_format === 'json' ? 'JSON' : undefined}
      actions={text !== null && <Copy text={text} what="the result" testId="result-copy" />}
      flush
      testId="result-panel"
    >
      {isCut && artifact !== null && (
        <p className={styles.note} data-testid="result-cut">
          These are the first 64 KiB.{' '}
          <a className="link" href={contentAddress(artifact)} download>
            Download the whole result
          </a>
        </p>
      )}
      {notes.map((note) => (
        <p key={note} className={styles.note}>
          {note}
        </p>
      ))}
      {text === null || text === '' ? (
        <p className={styles.note} data-testid="result-none">
          {artifact === null ? 'Finished without output.' : 'Retention removed the output.'}
        </p>
      ) : (
        <Text text={text} label="Result" testId="result" />
      )}
    </Panel>
  );
}

/** Formats JSON with a line for each member; returns other or incomplete text unchanged. */
function formatJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
