import { Button, Checkbox } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconDownload, IconX } from '@tabler/icons-react';
import { memo } from 'react';
import type { ProjectNodeStatus } from '../../../../contract/projects/projects.ts';
import { projectApi } from '../../api/project-calls.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { Ago } from '../../components/Ago.tsx';
import { Copy } from '../../components/Copy.tsx';
import { History } from '../../components/History.tsx';
import { NodeName } from '../../components/NodeName.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { bytes } from '../../format/numbers.ts';
import { driftWords, hasClone, isLeftAlone, isUnderWay, shortCommit } from '../../format/project-words.ts';
import { CloneState } from './CloneState.tsx';
import type { MatrixRow } from './matrix.ts';
import { ResetClone } from './ResetClone.tsx';
import styles from './Matrix.module.css';

/** The project on one node. Its props stay the same objects until they change, so that it is redrawn only then. */
export const CloneRow = memo(function CloneRow(props: {
  project: string;
  name: string;
  node: string;
  clone: ProjectNodeStatus | null;
  presence: MatrixRow['presence'];
  isPrimary: boolean;
  chosen: boolean;
  onChoose: (node: string, on: boolean) => void;
}) {
  const { node, clone, presence } = props;
  return (
    <tr data-testid={`clone-row-${node}`} data-status={clone?.clone_status ?? 'none'}>
      <td>
        <Checkbox
          size="xs"
          aria-label={`Choose ${node}`}
          checked={props.chosen}
          disabled={presence === 'gone'}
          onChange={(event) => props.onChoose(node, event.currentTarget.checked)}
          data-testid={`clone-choose-${node}`}
        />
      </td>
      <td>
        <NodeName node={node} presence={presence} testId={`clone-node-${node}`}>
          {props.isPrimary && <span className="second-line">primary</span>}
        </NodeName>
      </td>
      <td className={styles.status}>
        <CloneState node={node} clone={clone} />
      </td>
      <td data-testid={`clone-commit-${node}`} className={styles.short}>
        {clone?.commit == null ? (
          <span className="dim">–</span>
        ) : (
          <>
            <code title={clone.commit}>{shortCommit(clone.commit)}</code>
            <span className="second-line">{clone.branch ?? 'no branch'}</span>
          </>
        )}
      </td>
      <td className={styles.drift} data-testid={`clone-drift-${node}`}>
        <Drift clone={clone} />
      </td>
      <td data-testid={`clone-disk-${node}`}>
        {clone?.repo_path == null ? (
          <span className="dim">–</span>
        ) : (
          <>
            {clone.size_bytes === null ? '–' : bytes(clone.size_bytes)}
            <span className={`second-line ${styles.path}`}>
              <span title={clone.repo_path}>{endOf(clone.repo_path)}</span>
              <Copy text={clone.repo_path} what={`the path on ${node}`} testId={`clone-copy-path-${node}`} />
            </span>
          </>
        )}
      </td>
      <td>
        <Ago at={clone?.last_sync_at ?? null} never="–" testId={`clone-synced-${node}`} />
      </td>
      <td>
        <History
          url={clone?.history_url ?? null}
          of={`the clone on ${node}`}
          testId={`clone-history-${node}`}
        />
      </td>
      <td>
        <RowActions {...props} />
      </td>
    </tr>
  );
});

/** Returns the end of a long path, which says more than its beginning. The button beside it copies all of it. */
function endOf(path: string): string {
  return path.length <= 30 ? path : `…/${path.split('/').slice(-2).join('/')}`;
}

function Drift({ clone }: { clone: ProjectNodeStatus | null }) {
  const words = clone === null ? [] : driftWords(clone);
  if (clone === null || words.length === 0) return <span className="dim">–</span>;
  return (
    <>
      {words.map((each) => (
        <span key={each} className={styles.word}>
          {each}
        </span>
      ))}
      {clone.checked_at !== null && (
        <span className="second-line">
          asked <Ago at={clone.checked_at} />
        </span>
      )}
    </>
  );
}

function RowActions(props: {
  project: string;
  name: string;
  node: string;
  clone: ProjectNodeStatus | null;
  presence: MatrixRow['presence'];
}) {
  const { node, clone, presence, name } = props;
  const ask = useMutation({
    mutationFn: () => projectApi.clone(props.project, node),
    onError: (error) => notifyFailure(`${name} was not requested on ${node}`, error),
  });
  const cancel = useMutation({
    // The run, so that a later one does not look as if it were being cancelled.
    mutationFn: (_run: string) => projectApi.cancel(props.project, node),
    onError: (error) => notifyFailure(`${name} was not cancelled on ${node}`, error),
  });
  if (clone !== null && isUnderWay(clone)) {
    return (
      <span className={styles.actions}>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<IconX size={13} />}
          // Until the clone says itself that it has ended: git is being ended meanwhile.
          loading={cancel.isPending || (cancel.isSuccess && cancel.variables === clone.run_id)}
          onClick={() => cancel.mutate(clone.run_id)}
          aria-label={`Cancel on ${node}`}
          data-testid={`clone-cancel-${node}`}
        >
          Cancel
        </Button>
      </span>
    );
  }
  const there = clone !== null && hasClone(clone);
  const words = there ? 'Update' : 'Clone here';
  return (
    <span className={styles.actions}>
      <ActionButton
        variant="default"
        size="compact-xs"
        leftSection={<IconDownload size={13} />}
        reason={presence === 'gone' ? 'This node is no longer enrolled' : null}
        help={
          presence === 'offline'
            ? 'Runs when the node returns'
            : there
              ? 'Update the clone; local changes are left alone'
              : 'Clone the repository on this node'
        }
        label={`${words}: ${node}`}
        loading={ask.isPending}
        onPress={() => ask.mutate()}
        testId={`clone-run-${node}`}
      >
        {words}
      </ActionButton>
      {there && clone.commit !== null && isLeftAlone(clone) && (
        <ResetClone
          {...{ project: props.project, name, node }}
          clone={{ ...clone, commit: clone.commit }}
          reason={
            presence === 'offline'
              ? 'This node is offline, so its clone cannot be checked'
              : presence === 'gone'
                ? 'This node is no longer enrolled'
                : null
          }
        />
      )}
    </span>
  );
}
