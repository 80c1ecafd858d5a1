import type {
  CloneCounts,
  CloneStatus,
  ProjectCloneStatus,
  ProjectNodeStatus,
} from '../../../contract/projects/projects.ts';
import { counted } from './numbers.ts';
import { statesOf, type Words } from './words.ts';

/** How a project stands, in the API's own words. */
export const PROJECT_STATUSES: Record<ProjectCloneStatus, Words> = statesOf({
  pending: { label: 'Pending', tone: 'quiet' },
  cloning: { label: 'Cloning', tone: 'busy' },
  cloned: { label: 'Cloned', tone: 'good' },
  propagating: { label: 'Propagating', tone: 'busy' },
  synced: { label: 'Synced', tone: 'good' },
  partial: { label: 'Partial', tone: 'warn' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
});

/** The same for one clone. */
export const CLONE_STATUSES: Record<CloneStatus, Words> = statesOf({
  pending: { label: 'Pending', tone: 'quiet' },
  cloning: { label: 'Cloning', tone: 'busy' },
  cloned: { label: 'Cloned', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
});

type Clone = Pick<ProjectNodeStatus, 'clone_status' | 'commit' | 'behind' | 'ahead' | 'dirty'>;

/** Whether a clone was asked for and has not ended. */
export function isUnderWay({ clone_status }: Pick<ProjectNodeStatus, 'clone_status'>): boolean {
  return clone_status === 'pending' || clone_status === 'cloning';
}

/** Whether there is a clone on the node, as far as is known: also one whose last update failed. */
export function hasClone({ clone_status, commit }: Pick<Clone, 'clone_status' | 'commit'>): boolean {
  return clone_status === 'cloned' || commit !== null;
}

/**
 * How a clone stands to its remote, in plain words, worst first.
 * @returns no words while it is not known
 */
export function driftWords({ behind, ahead, dirty }: Clone): string[] {
  if (dirty === null) return [];
  const words = [
    ...(dirty > 0 ? [counted(dirty, 'changed file')] : []),
    ...(ahead !== null && ahead > 0 ? [`${counted(ahead, 'commit')} ahead`] : []),
    ...(behind !== null && behind > 0 ? [`${counted(behind, 'commit')} behind`] : []),
    ...(behind === null && ahead === null ? ['no such branch on the remote'] : []),
  ];
  return words.length > 0 ? words : ['up to date'];
}

/** How many of a project's clones differ from their remote, in a few words; empty while no clone was compared. */
export function driftSummary({ compared, behind, ahead, dirty }: CloneCounts): string {
  if (compared === 0) return '';
  const words = [
    ...(behind > 0 ? [`${behind} behind`] : []),
    ...(ahead > 0 ? [`${ahead} ahead`] : []),
    ...(dirty > 0 ? [`${dirty} with changed files`] : []),
  ];
  return words.length > 0 ? words.join(', ') : 'up to date';
}

/** Whether a clone is one that updates leave alone: it may be made as the remote instead. */
export function isLeftAlone({ detail, ahead, behind, dirty }: Clone & { detail: string }): boolean {
  const isKept = detail.startsWith('left as it is');
  return isKept || (ahead ?? 0) > 0 || ((dirty ?? 0) > 0 && (behind ?? 0) > 0);
}

/** A commit as people write it; "empty" for a repository without one. */
export function shortCommit(commit: string): string {
  return commit.slice(0, 8);
}
