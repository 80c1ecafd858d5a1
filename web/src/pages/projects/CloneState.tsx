import { Progress } from '@mantine/core';
import type { CloneProgress, ProjectNodeStatus } from '../../../../contract/projects/projects.ts';
import { Status } from '../../components/Status.tsx';
import { bytes } from '../../format/numbers.ts';
import { CLONE_STATUSES } from '../../format/project-words.ts';
import styles from './Matrix.module.css';

/** The longest error that is shown in full, in characters; a longer one is collapsed. */
const MAX_SHORT_CHARS = 90;

/** The state of the clone on one node: its progress, what it waits for, or its error. */
export function CloneState({ node, clone }: { node: string; clone: ProjectNodeStatus | null }) {
  if (clone === null) {
    return (
      <span className="dim" data-testid={`clone-status-${node}`}>
        Not here
      </span>
    );
  }
  const { label, tone } = CLONE_STATUSES[clone.clone_status];
  const error = clone.error_message;
  return (
    <>
      <Status tone={tone} testId={`clone-status-${node}`}>
        {label}
      </Status>
      {clone.progress !== null && <Bar node={node} progress={clone.progress} />}
      {error !== null ? (
        <ErrorText node={node} text={error} code={clone.error_code} />
      ) : (
        clone.progress === null &&
        clone.detail !== '' && (
          <span className="second-line" data-testid={`clone-detail-${node}`}>
            {clone.detail}
          </span>
        )
      )}
    </>
  );
}

function Bar({ node, progress }: { node: string; progress: CloneProgress }) {
  const { phase, percent, bytes: received } = progress;
  const words = [
    phase,
    ...(percent === null ? [] : [`${Math.floor(percent)} %`]),
    ...(received === 0 ? [] : [bytes(received)]),
  ].join(' · ');
  return (
    <span className={styles.progress} data-testid={`clone-progress-${node}`}>
      <Progress
        value={percent ?? 100}
        size={4}
        striped={percent === null}
        animated={percent === null}
        aria-label={`${phase} on ${node}`}
      />
      <span className="second-line">{words}</span>
    </span>
  );
}

function ErrorText({ node, text, code }: { node: string; text: string; code: string | null }) {
  const testId = `clone-error-${node}`;
  const known = code === null ? null : <code className={styles.code}>{code}</code>;
  if (text.length <= MAX_SHORT_CHARS) {
    return (
      <span className={styles.error} data-testid={testId}>
        {text} {known}
      </span>
    );
  }
  return (
    <details className={styles.error} data-testid={testId}>
      <summary>
        <span className={styles.brief}>{text}</span>
        <span className={styles.full}>{text}</span>
      </summary>
      {known}
    </details>
  );
}
