import { useMutation } from '@tanstack/react-query';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useState } from 'react';
import type { ProjectNodeStatus } from '../../../../contract/projects/projects.ts';
import { projectApi } from '../../api/project-calls.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { Ago } from '../../components/Ago.tsx';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { counted } from '../../format/numbers.ts';
import { shortCommit } from '../../format/project-words.ts';

/** Offers to reset a clone to its remote, and first says what would move, and where to. */
export function ResetClone(props: {
  project: string;
  name: string;
  node: string;
  clone: ProjectNodeStatus & { commit: string };
  reason: string | null;
}) {
  const { clone, name, node } = props;
  /** The commit that the person sees. The request is about this one, even when the clone changes while the dialog is open. */
  const [seen, setSeen] = useState<string | null>(null);
  const reset = useMutation({
    mutationFn: (commit: string) => projectApi.reset(props.project, { node, commit }),
    onError: (error) => notifyFailure(`${name} was not requested on ${node}`, error),
    onSettled: () => setSeen(null),
  });
  return (
    <>
      <ActionButton
        variant="default"
        size="compact-xs"
        leftSection={<IconArrowBackUp size={13} />}
        reason={props.reason}
        help="Reset the clone to the remote, and save its own state on a branch"
        label={`Reset to the remote: ${node}`}
        onPress={() => setSeen(clone.commit)}
        testId={`clone-reset-${node}`}
      >
        Reset to the remote…
      </ActionButton>
      <ConfirmDialog
        opened={seen !== null}
        title={`Reset ${name} on ${node} to the remote?`}
        confirm="Save and reset"
        busy={reset.isPending}
        onConfirm={() => seen !== null && reset.mutate(seen)}
        onCancel={() => setSeen(null)}
      >
        <p data-testid={`clone-reset-why-${node}`}>
          {clone.detail.charAt(0).toUpperCase()}
          {clone.detail.slice(1)}.
        </p>
        <p>
          A new branch <code>kept/…</code> in the clone saves what only the clone has:
        </p>
        <ul data-testid={`clone-reset-moves-${node}`}>
          {describeMoved(clone).map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
        <p>
          Then the project’s branch and its files become equal to the remote. Ignored files stay, except where
          the remote has files; those move to the branch, too. Nothing changes if the clone is no longer at{' '}
          <code>{shortCommit(seen ?? clone.commit)}</code>. The numbers are from <Ago at={clone.checked_at} />
          .
        </p>
      </ConfirmDialog>
    </>
  );
}

/** Describes what a reset moves to the branch. */
function describeMoved({ branch, commit, ahead, dirty }: ProjectNodeStatus & { commit: string }): string[] {
  const on = branch === null ? 'that no branch has' : `of ${branch}`;
  return [
    ahead === null
      ? `commits ${on} up to ${shortCommit(commit)} that the remote lacks`
      : ahead > 0
        ? `${counted(ahead, 'commit')} ${on} that the remote lacks, up to ${shortCommit(commit)}`
        : 'no commit',
    dirty === null
      ? 'changed and untracked files'
      : dirty > 0
        ? counted(dirty, 'changed or untracked file')
        : 'no changed file',
  ];
}
