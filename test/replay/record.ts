import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Engine } from '../../engine/connect.ts';

/** The environment variable with the folder for the histories of a test run; without it, none is written. */
export const RECORD_TO = 'MEMBRIDGE_RECORD_HISTORIES';

const ROOT = join(import.meta.dirname, '..', '..');

/** The longest history that is written, in bytes. Shorter ones cover the same paths. */
const MAX_HISTORY_BYTES = 200_000;

/** Writes the histories of all workflows in Temporal's namespace, on request. */
export async function recordHistories({ client }: Pick<Engine, 'client'>): Promise<void> {
  const folder = process.env[RECORD_TO];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  for await (const { workflowId, runId, type } of client.workflow.list()) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    // Stacks in it name files of this machine.
    const text = historyToJSON(history).replaceAll(ROOT, '');
    if (text.length > MAX_HISTORY_BYTES) continue;
    const name = createHash('sha256').update(runId).digest('hex').slice(0, 12);
    writeFileSync(join(folder, `${type}-${name}.json`), `${text}\n`);
  }
}
