import type {
  CloneCounts,
  CloneStatus,
  ProjectCloneStatus,
  ProjectNodeStatus,
} from '../../../contract/projects/projects.ts';
import { counted } from './numbers.ts';
import { withUnknownStates, type Words } from './words.ts';

/** The status of a project, in the API's own words. */
export const PROJECT_STATUSES: Record<ProjectCloneStatus, Words> = withUnknownStates({
  pending: { label: 'Pending', tone: 'quiet' },
  cloning: { label: 'Cloning', tone: 'busy' },
  cloned: { label: 'Cloned', tone: 'good' },
  propagating: { label: 'Propagating', tone: 'busy' },
  synced: { label: 'Synced', tone: 'good' },
  partial: { label: 'Partial', tone: 'warn' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
});

/** The status of one clone, in the API's own words. */
export const CLONE_STATUSES: Record<CloneStatus, Words> = withUnknownStates({
  pending: { label: 'Pending', tone: 'quiet' },
  cloning: { label: 'Cloning', tone: 'busy' },
  cloned: { label: 'Cloned', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
});

type Clone = Pick<ProjectNodeStatus, 'clone_status' | 'commit' | 'behind' | 'ahead' | 'dirty'>;

/** Returns whether a clone was requested and has not ended. */
export function isUnderWay({ clone_status }: Pick<ProjectNodeStatus, 'clone_status'>): boolean {
  return clone_status === 'pending' || clone_status === 'cloning';
}

/** Returns whether the node has a clone, as far as is known, also when its last update failed. */
export function hasClone({ clone_status, commit }: Pick<Clone, 'clone_status' | 'commit'>): boolean {
  return clone_status === 'cloned' || commit !== null;
}

/**
 * Describes how a clone differs from its remote, worst first.
 * @returns no words while it is unknown
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

/** Summarizes how many of a project's clones differ from their remote; empty while no clone was compared. */
export function driftSummary({ compared, behind, ahead, dirty }: CloneCounts): string {
  if (compared === 0) return '';
  const words = [
    ...(behind > 0 ? [`${behind} behind`] : []),
    ...(ahead > 0 ? [`${ahead} ahead`] : []),
    ...(dirty > 0 ? [`${dirty} with changed files`] : []),
  ];
  return words.length > 0 ? words.join(', ') : 'up to date';
}

/** Returns whether updates leave a clone alone, so that it can be reset to the remote instead. */
export function isLeftAlone({ detail, ahead, behind, dirty }: Clone & { detail: string }): boolean {
  const isKept = detail.startsWith('left as it is');
  return isKept || (ahead ?? 0) > 0 || ((dirty ?? 0) > 0 && (behind ?? 0) > 0);
}

/** Formats a commit as people write it; "empty" for a repository without one. */
export function shortCommit(commit: string): string {
  return commit.slice(0, 8);
}
