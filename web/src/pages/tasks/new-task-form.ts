import type { TaskDraft } from './task-draft.ts';

/** The draft of a new task. */
export interface NewTaskForm {
  readonly draft: TaskDraft;
  /** Its `Idempotency-Key`: a double click, or another try after a lost answer, makes only one task. */
  readonly key: string;
}

/** Returns a unique key. Not `randomUUID`, which browsers offer only over HTTPS and on loopback. */
export function makeIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
