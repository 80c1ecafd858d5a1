import type { Job } from '../../contract/memory/memory.ts';
import { historyUrl } from '../../engine/memory-workflows.ts';
import type { Config } from '../config.ts';

/** Adds the address of a job's history in the Temporal UI, when that is known and the job has begun. */
export function withHistoryUrl(job: Job, config: Config): Job {
  if (job.run_id === '') return job;
  const ref = { workflowId: job.workflow_id, runId: job.run_id };
  return { ...job, history_url: historyUrl(config.temporalUi, config.engine.namespace, ref) };
}
