import type { ErrorCode } from '../contract/errors.ts';
import type { MemoryStatus } from '../contract/memory/memory.ts';

/** Merge failures that leave this node's own memories readable, so that they can still be sent. */
export const MERGE_ONLY: ReadonlySet<ErrorCode> = new Set([
  'memory_index_damaged',
  'memory_locked',
  'memory_unreadable',
  'memory_failed',
  'disk_full',
]);

/** Error codes after which the files are reopened, because another file may have replaced them. */
export const REOPENING_CODES = /^(memory_(?!index_damaged|guarded)|ledger_failed|disk_full)/;

/** The status that follows from a failure to open or read the files. */
export const STATE_BY_CODE: Partial<Record<ErrorCode, MemoryStatus['state']>> = {
  memory_missing: 'missing',
  memory_schema_unknown: 'unknown-schema',
  memory_corrupt: 'corrupt',
  memory_index_damaged: 'index-damaged',
  memory_unreadable: 'unreadable',
  memory_failed: 'unreadable',
  memory_locked: 'locked',
  memory_in_use: 'locked',
};
