import { z } from 'zod';
import { Artifact, ListArtifacts } from '../../contract/tasks/artifacts.ts';
import { MembridgeError } from '../../contract/errors.ts';
import { Lease, TaskResult, TaskRun } from '../../contract/tasks/leases.ts';
import { OutputChunk } from '../../contract/tasks/runs.ts';
import { TaskSettings } from '../../contract/tasks/tasks.ts';
import { getArtifact, listArtifacts } from '../../db/queries/find-artifacts.ts';
import { listLeases, listResults, listRuns, listTaskRuns } from '../../db/queries/find-leases.ts';
import { configAuditEntry, recordAudit } from '../../db/queries/record-audit.ts';
import { readOutput } from '../../db/queries/task-output.ts';
import { readTaskSettings, writeTaskSettings } from '../../db/queries/task-settings.ts';
import { getBlob } from '../../storage/blobs.ts';
import type { Deps } from '../deps.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import { makeSessionCheck } from '../auth/auth.ts';
import { defineRoute } from '../http/route.ts';
import { readOutputText } from '../tasks/lease.ts';
import { streamOutput } from '../tasks/output-stream.ts';
import { requireTask, showArtifact, withTaskUrl } from '../tasks/show.ts';

const tag = 'Tasks';
const artifacts = 'Artifacts';
const Id = z.strictObject({ id: z.string() });
const task = '/api/runtime/llm-tasks/:id';

/** How many characters of a text artifact are shown with it; all of it is under `/content`. */
const MAX_SHOWN_CHARS = 65_536;

const isText = (mediaType: string): boolean => /^(text\/|application\/json)/.test(mediaType);

async function requireArtifact(deps: Deps, id: string) {
  const row = await getArtifact(deps.db, { id });
  if (row === null) throw notFoundError('artifact', id);
  return row;
}

/** What tasks produce: leases, results, artifacts and output. */
export const taskRecordRoutes = [
  defineRoute({
    method: 'get',
    path: `${task}/leases`,
    auth: 'people',
    tag,
    summary: 'List the attempts at a task, newest first',
    params: Id,
    status: 200,
    response: z.array(Lease),
    errors: { 404: 'There is no such task' },
    handle: async ({ params }, deps) => {
      await requireTask(deps, params.id);
      return await listLeases(deps.db, { task: params.id });
    },
  }),
  defineRoute({
    method: 'get',
    path: `${task}/results`,
    auth: 'people',
    tag,
    summary: 'List the results of a task’s attempts, newest first, with the first 64 KiB of each output',
    params: Id,
    status: 200,
    response: z.array(TaskResult),
    errors: { 404: 'There is no such task' },
    handle: async ({ params }, deps) => {
      await requireTask(deps, params.id);
      const results = await listResults(deps.db, { task: params.id });
      return await Promise.all(
        results.map(async (result) => ({
          ...result,
          output: await readOutputText(deps, result.artifact_id),
        })),
      );
    },
  }),
  defineRoute({
    method: 'get',
    path: `${task}/output`,
    auth: 'people',
    tag,
    summary: 'Get the output of a task’s program, in pages',
    description:
      'Of the newest attempt unless a lease epoch is given, after a sequence number. Some time after the attempt only its LOG artifact has it.',
    params: Id,
    query: z.strictObject({
      epoch: z.coerce.number().int().positive().optional(),
      after: z.coerce.number().int().min(-1).default(-1),
      limit: z.coerce.number().int().min(1).max(2_000).default(500),
    }),
    status: 200,
    response: z.strictObject({ epoch: z.number().int(), chunks: z.array(OutputChunk) }),
    errors: { 404: 'There is no such task' },
    handle: async ({ params, query }, deps) => {
      const row = await requireTask(deps, params.id);
      const epoch = query.epoch ?? row.epoch;
      const { after, limit } = query;
      return { epoch, chunks: await readOutput(deps.db, { taskId: row.id, epoch, after, limit }) };
    },
  }),
  defineRoute({
    method: 'get',
    path: `${task}/output/stream`,
    auth: 'people',
    tag,
    summary: 'Stream the output as server-sent events, until the attempt has ended',
    description:
      'Each data line is an OutputChunk; the event `end` says that the output is complete. Last-Event-ID resumes. tail=N begins with about the last N lines; the event `skipped` then names the seq of the chunk before them.',
    params: Id,
    query: z.strictObject({
      epoch: z.coerce.number().int().positive().optional(),
      tail: z.coerce.number().int().min(1).max(10_000).optional(),
    }),
    status: 200,
    content: 'text/event-stream',
    event: OutputChunk,
    errors: { 404: 'There is no such task' },
    unlimited: true,
    handle: async ({ params, query, req, res, caller }, deps) => {
      const row = await requireTask(deps, params.id);
      const of = { taskId: row.id, epoch: query.epoch ?? null, tail: query.tail ?? null };
      await streamOutput(req, res, deps, of, makeSessionCheck(caller, deps));
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/leases',
    auth: 'people',
    tag,
    summary: 'List leases, newest first; 500 at most',
    query: z.strictObject({
      status: z.string().max(64).optional(),
      worker_id: z.string().max(128).optional(),
    }),
    status: 200,
    response: z.array(Lease),
    handle: async ({ query }, deps) =>
      await listLeases(deps.db, { status: query.status, worker: query.worker_id }),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/runs',
    auth: 'people',
    tag,
    summary: 'List the newest tasks, each with its last attempt and its result',
    description: 'With attempts=true it lists the newest attempts instead, each with its task.',
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(200).default(50),
      attempts: z.enum(['true', 'false']).default('false'),
    }),
    status: 200,
    response: z.array(TaskRun),
    handle: async ({ query }, deps) => {
      const runs: TaskRun[] =
        query.attempts === 'true' ? await listRuns(deps.db, query) : await listTaskRuns(deps.db, query);
      return runs.map((run) => ({ ...run, ...withTaskUrl(deps, run) }));
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/artifacts',
    auth: 'people',
    tag: artifacts,
    summary: 'List artifacts, newest first',
    description: 'When there are more, the header X-Next-Cursor is the cursor of the next page.',
    query: ListArtifacts,
    status: 200,
    response: z.array(Artifact),
    handle: async ({ query, res }, deps) => {
      const { artifacts: rows, next } = await listArtifacts(deps.db, query);
      if (next !== null) res.set('X-Next-Cursor', next);
      return rows.map((row) => showArtifact(deps, row));
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/artifacts/:id',
    auth: 'people',
    tag: artifacts,
    summary: 'Get one artifact; a text with its first 64 KiB',
    params: Id,
    status: 200,
    response: Artifact,
    errors: { 404: 'There is no such artifact' },
    handle: async ({ params }, deps) => {
      const row = await requireArtifact(deps, params.id);
      const shown = showArtifact(deps, row);
      if (row.expired_at !== null || !isText(row.media_type)) return shown;
      const bytes = await getBlob(deps.store, row);
      return { ...shown, content: bytes.subarray(0, MAX_SHOWN_CHARS).toString() };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/artifacts/:id/content',
    auth: 'people',
    tag: artifacts,
    summary: 'Download the bytes of an artifact',
    params: Id,
    status: 200,
    content: 'application/octet-stream',
    errors: { 404: 'There is no such artifact, or retention removed its bytes' },
    handle: async ({ params, res }, deps) => {
      const row = await requireArtifact(deps, params.id);
      if (row.expired_at !== null) {
        throw new MembridgeError('not_found', `The bytes of artifact ${row.id} were removed by retention.`);
      }
      const bytes = await getBlob(deps.store, row);
      res
        // A program's output must not run as a page of ours.
        .type(isText(row.media_type) ? 'text/plain; charset=utf-8' : 'application/octet-stream')
        .set('Content-Disposition', `attachment; filename="${row.task_id}-${row.name}"`)
        .set('ETag', `"${row.sha256}"`)
        .send(bytes);
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/task-settings',
    auth: 'people',
    tag,
    summary: 'Get the cost ceilings of tasks, and the retention times',
    status: 200,
    response: TaskSettings,
    handle: async (_call, deps) => await deps.db.run(readTaskSettings),
  }),
  defineRoute({
    method: 'put',
    path: '/api/runtime/task-settings',
    auth: 'people',
    tag,
    summary: 'Change that',
    body: TaskSettings,
    status: 200,
    response: TaskSettings,
    handle: async ({ body, caller }, deps) => {
      const said = Object.entries(body).map(([name, value]) => `${name} ${value ?? 'none'}`);
      await deps.db.transaction(async (tx) => {
        await writeTaskSettings(tx, body);
        const detail = `tasks: ${said.join(', ')}`;
        await recordAudit(tx, [
          configAuditEntry('config_updated', detail, auditByCaller(caller), deps.now()),
        ]);
      });
      return body;
    },
  }),
];
