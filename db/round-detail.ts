import type { SyncAction } from '../contract/http/primitives.ts';
import { uncoveredSentence } from '../contract/memory/uncovered.ts';
import type { SyncRoundResult } from '../contract/workflows.ts';
import { singleLine } from './single-line.ts';

const ACTION_WORDS: Record<SyncAction, string> = {
  push: 'sending',
  pull: 'fetching',
  sync: 'sending and fetching',
};

/** Describes what a running job does, for people. */
export function runningDetail(action: SyncAction): string {
  return ACTION_WORDS[action];
}

/** Returns whether a round did everything that it was asked for, and left out nothing from other nodes. */
export function isComplete({ push, pull, error }: SyncRoundResult): boolean {
  const isMerged = pull === null ? push?.unmerged === undefined : pull.problems.length === 0;
  return error === null && isMerged;
}

/** Describes what a round did, in one sentence for people. */
export function finishedDetail(result: SyncRoundResult): string {
  const { push, pull, error } = result;
  const received = (pull?.inserted ?? 0) + (pull?.updated ?? 0);
  const parts: string[] = [];
  if (push !== null && push.rows > 0) parts.push(`sent ${rows(push.rows)}`);
  if (received > 0) parts.push(`received ${rows(received)}`);
  const removed = pull?.deleted ?? 0;
  if (removed > 0) parts.push(`removed ${rows(removed)}`);
  const uncovered = parts.length > 0 ? undefined : (push?.uncovered ?? pull?.uncovered);
  const nothing =
    uncovered === undefined ? 'nothing new' : `nothing to send: ${uncoveredSentence(uncovered)}`;
  const sentence = error?.message ?? (parts.length === 0 ? nothing : parts.join(', '));
  // Data transferred before the failure stays, so it is reported after the error.
  const notes = error === null ? [] : parts;
  if (pull !== null && pull.waiting > 0) {
    notes.push(`${rows(pull.waiting)} ${pull.waiting === 1 ? 'waits for its' : 'wait for their'} session`);
  }
  for (const { project, reason, rows: count } of push?.withheld ?? []) {
    notes.push(`withheld ${rows(count)} of ${JSON.stringify(project)} (${reason})`);
  }
  if (push?.unmerged !== undefined && pull === null && error === null) {
    notes.push(`what other nodes sent could not be merged: ${push.unmerged.message}`);
  }
  for (const { node, problem } of pull?.problems ?? []) notes.push(`${node}: ${problem}`);
  return singleLine([sentence, ...notes].join('; '), MAX_DETAIL);
}

/** Longest detail of a job, in characters: a sentence, not a log. */
const MAX_DETAIL = 1_000;

function rows(count: number): string {
  return `${count} ${count === 1 ? 'row' : 'rows'}`;
}
