import type { AuditLog } from '../../../contract/audit.ts';
import type { Lease } from '../../../contract/tasks/leases.ts';
import type { ProposalStatus } from '../../../contract/projects/proposals.ts';
import { type Task, type TaskStatus } from '../../../contract/tasks/tasks.ts';
import { isTerminal } from '../../../contract/tasks/task-status.ts';
import { withUnknownStates, withUnknownWords, type Words } from './words.ts';

/** The status of a task, in the API's own words. */
export const TASK_STATUSES: Record<TaskStatus, Words> = withUnknownStates({
  queued: { label: 'Queued', tone: 'warn' },
  leased: { label: 'Leased', tone: 'busy' },
  running: { label: 'Running', tone: 'busy' },
  completed: { label: 'Completed', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  dead: { label: 'Dead', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
});

/** What each status means, for people who see it for the first time. */
export const TASK_STATUS_HELP: Record<TaskStatus, string> = {
  queued: 'Waits for a node',
  leased: 'A node has leased it and has not begun yet',
  running: 'A node is running it',
  completed: 'It has a result',
  failed: 'It failed, and another attempt would not help; you can requeue it',
  dead: 'It used all its attempts; you can requeue it',
  cancelled: 'A person ended it',
};

export const PROPOSAL_STATUSES: Record<ProposalStatus, Words> = withUnknownStates({
  pending: { label: 'Pending', tone: 'warn' },
  approved: { label: 'Approved', tone: 'busy' },
  applying: { label: 'Applying', tone: 'busy' },
  applied: { label: 'Applied', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  rejected: { label: 'Rejected', tone: 'quiet' },
  expired: { label: 'Expired', tone: 'quiet' },
});

export const LEASE_STATUSES: Record<Lease['status'], Words> = withUnknownStates({
  active: { label: 'Active', tone: 'busy' },
  expired: { label: 'Expired', tone: 'bad' },
  released: { label: 'Released', tone: 'quiet' },
  failed: { label: 'Failed', tone: 'bad' },
});

export const LEASE_KINDS: Record<Lease['kind'], string> = withUnknownWords({
  agent: 'given to its agent',
  http: 'taken over HTTP',
});

/** The status of a task, with what the status leaves open: that it is being cancelled, or not dispatched. */
export function taskWords(
  task: Pick<Task, 'status' | 'cancel_requested_at' | 'dispatched'>,
): Words & { note: string } {
  const words = TASK_STATUSES[task.status];
  if (isEnded(task)) return { ...words, note: '' };
  if (task.cancel_requested_at !== null) return { label: 'Cancelling', tone: 'warn', note: words.label };
  return { ...words, note: task.status === 'queued' && !task.dispatched ? 'not dispatched' : '' };
}

/** Returns whether the task has ended: nothing changes it automatically. */
export function isEnded({ status }: Pick<Task, 'status'>): boolean {
  return isTerminal(status);
}

/** Returns what can be done with a task now. */
export function findPossibleActions(task: Pick<Task, 'status' | 'dispatched' | 'cancel_requested_at'>): {
  dispatch: boolean;
  cancel: boolean;
  requeue: boolean;
} {
  return {
    dispatch: task.status === 'queued' && !task.dispatched && task.cancel_requested_at === null,
    cancel: !isEnded(task) && task.cancel_requested_at === null,
    requeue: task.status === 'failed' || task.status === 'dead',
  };
}

/** Capitalizes words of the API that stand alone. */
export function capitalizeFirst(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const characters = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Returns the beginning of a prompt on one line. @param length the most characters, with the ellipsis */
export function shortenPrompt(prompt: string, length = 60): string {
  // Enough for that many characters, however many code units each has; a prompt may have a megabyte.
  const line = prompt
    .slice(0, length * 20)
    .replaceAll(/\s+/g, ' ')
    .trim();
  const seen = Array.from(characters.segment(line), ({ segment }) => segment);
  const isWhole = seen.length <= length && prompt.length <= length * 20;
  return isWhole
    ? line
    : `${seen
        .slice(0, length - 1)
        .join('')
        .trimEnd()}…`;
}

/** Returns the title of a task: the first line of its prompt. */
export function taskTitle({ prompt }: Pick<Task, 'prompt'>): string {
  const first = prompt.trimStart().split('\n', 1)[0] ?? '';
  return shortenPrompt(first, 80);
}

/** Returns an action of the audit log in words: `lease_expired` is "Lease expired". */
export function actionWords({ action }: Pick<AuditLog, 'action'>): string {
  const words = action.replaceAll('_', ' ').trim();
  return words === '' ? action : capitalizeFirst(words);
}

/** The kinds of things that audit entries are about. */
export const ENTITIES: Record<AuditLog['entity_type'], string> = {
  llm_task: 'Task',
  lease: 'Lease',
  worker: 'Node',
  managed_project: 'Project',
  membridge_project: 'Memory space',
  leadership: 'Leadership',
  proposal: 'Proposal',
  task_schedule: 'Task schedule',
  runtime_config: 'Runtime setting',
  session: 'Sign-in',
  enrolment_token: 'Enrolment token',
};

const dollars = new Intl.NumberFormat('en-US', {
  style: 'currency',
  currency: 'USD',
  maximumFractionDigits: 4,
});

/** Formats US dollars: "$0.0123", "$4.20". */
export function formatUsd(amount: number): string {
  return dollars.format(amount);
}
