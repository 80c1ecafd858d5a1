/**
 * Records histories for the replay test from a Temporal that has run workflows, such as the demo's:
 *   TEMPORAL_ADDRESS=127.0.0.1:7233 node test/record-histories.ts [LABEL]
 * WORKFLOW_TYPES limits it to some types, separated by commas.
 * For each workflow type: the shortest and the longest closed run, and one that still runs. Run it when a workflow gets a
 * new way through its code, and commit what is new; histories are never edited.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection, type WorkflowExecutionInfo } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

const FOLDER = join(import.meta.dirname, '..', 'workflows', 'histories');
const TYPES = (
  process.env['WORKFLOW_TYPES'] ??
  'syncMemory,memorySpace,cloneProject,propagateProject,projectMemorySync,leadership,applyProposal,previewProposal,deliverWebhook,runTaskSchedule'
).split(',');

const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233' });
const client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] ?? 'default' });
const label = process.argv[2] ?? 'run';
mkdirSync(FOLDER, { recursive: true });

for (const type of TYPES) {
  const runs: WorkflowExecutionInfo[] = [];
  for await (const run of client.workflow.list({ query: `WorkflowType = '${type}'` })) runs.push(run);
  const closed = runs
    .filter((run) => run.status.name !== 'RUNNING')
    .sort((a, b) => (a.historyLength ?? 0) - (b.historyLength ?? 0));
  const picked = {
    shortest: closed[0],
    longest: closed.at(-1),
    running: runs.find((run) => run.status.name === 'RUNNING'),
  };
  for (const [which, run] of Object.entries(picked)) {
    if (run === undefined) continue;
    const history = await client.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
    const file = join(FOLDER, `${type}-${label}-${which}.json`);
    writeFileSync(file, `${historyToJSON(history)}\n`);
    process.stdout.write(`${file}: ${history.events?.length} events\n`);
  }
}
await connection.close();
