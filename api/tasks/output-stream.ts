import type { Request, Response } from 'express';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal } from '../../contract/tasks/task-status.ts';
import { getTaskRow } from '../../db/queries/find-tasks.ts';
import { readOutput, seqBeforeTail } from '../../db/queries/task-output.ts';
import type { Deps } from '../deps.ts';
import { CHECK_MS, waitUntilDrained, openStream, trackStream } from '../http/sse.ts';

/** How often new output is read while somebody watches, in milliseconds. */
const POLL_MS = 300;
/** How long after the end of an attempt its last chunks may arrive, in milliseconds. */
const TAIL_MS = 1_500;
/** How often an idle stream sends a comment, in milliseconds. */
const PING_MS = 15_000;
const BATCH_CHUNKS = 500;

/**
 * Streams an attempt's output as it arrives. It reads from PostgreSQL, so that any process of the control plane can
 * serve it, and a returning client gets what it missed.
 * @param stillAllowed checked every two seconds; the stream ends when it returns false (a browser that signed out)
 * @param of.tail how many of the last lines to begin with; null: all. A returning client continues from its own
 * position
 * @param of.epoch the attempt's lease epoch; by default the newest at the start, even if another attempt begins
 */
export async function streamOutput(
  req: Request,
  res: Response,
  deps: Deps,
  of: { taskId: string; epoch: number | null; tail: number | null },
  stillAllowed: () => Promise<boolean>,
): Promise<void> {
  let [epoch, after] = resumeFrom(req);
  openStream(res);
  const streams = trackStream(res, deps);
  res.once('close', () => streams.delete(res));
  let pingAt = Date.now() + PING_MS;
  let checkAt = Date.now() + CHECK_MS;
  let endedAt: number | null = null;
  while (!res.destroyed && !res.writableEnded) {
    if (Date.now() > checkAt) {
      if (!(await stillAllowed())) return void res.end();
      checkAt = Date.now() + CHECK_MS;
    }
    const row = await getTaskRow(deps.db, { id: of.taskId });
    if (row === null) break;
    const wanted = of.epoch ?? row.epoch;
    if (wanted !== epoch) {
      [epoch, after] = [wanted, -1];
      if (of.tail !== null)
        after = await seqBeforeTail(deps.db, { taskId: of.taskId, epoch, lines: of.tail });
      if (after >= 0) res.write(`event: skipped\ndata: ${JSON.stringify({ after })}\n\n`);
    }
    const chunks = await readOutput(deps.db, { taskId: of.taskId, epoch, after, limit: BATCH_CHUNKS });
    for (const chunk of chunks) {
      res.write(`id: ${epoch}.${chunk.seq}\ndata: ${JSON.stringify(chunk)}\n\n`);
      after = chunk.seq;
      if (res.writableNeedDrain && !(await waitUntilDrained(res))) return;
    }
    if (chunks.length === BATCH_CHUNKS) continue;
    const isOver = isTerminal(row.status) || row.epoch > epoch;
    if (isOver) endedAt ??= Date.now();
    else endedAt = null;
    if (endedAt !== null && Date.now() - endedAt > TAIL_MS) break;
    if (Date.now() > pingAt) {
      res.write(': ping\n\n');
      pingAt = Date.now() + PING_MS;
    }
    await sleep(POLL_MS);
  }
  if (!res.destroyed) res.end('event: end\ndata: {}\n\n');
}

/** Reads the attempt and sequence number from `Last-Event-ID`. */
function resumeFrom(req: Request): [epoch: number, after: number] {
  const parsed = /^(\d{1,9})\.(\d{1,9})$/.exec(req.get('Last-Event-ID') ?? '');
  return parsed === null ? [0, -1] : [Number(parsed[1]), Number(parsed[2])];
}
