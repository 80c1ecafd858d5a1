import {
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembridgeError } from '../../contract/errors.ts';
import type { Fence } from '../../contract/tasks/task-workflow.ts';
import type { TaskRow } from '../../db/task-rows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { requireTask } from './show.ts';

/** gRPC's RESOURCE_EXHAUSTED: a workflow accepts ten updates at a time. */
const RESOURCE_EXHAUSTED = 8;

/**
 * The most concurrent updates of one task from this process, so that agents have room too. Temporal refuses more than
 * ten. It then also drops updates that it had not persisted yet, and the workflow handles them again.
 */
const MAX_CONCURRENT_UPDATES = 6;

/** Running calls and waiting callers, by task. */
const turns = new Map<string, { taken: number; readonly waiting: (() => void)[] }>();

/** Runs work when it is its turn at a task. */
async function runInTurn<T>(taskId: string, work: () => Promise<T>): Promise<T> {
  const turn = turns.get(taskId) ?? { taken: 0, waiting: [] };
  turns.set(taskId, turn);
  if (turn.taken < MAX_CONCURRENT_UPDATES) turn.taken += 1;
  else await new Promise<void>((resolve) => turn.waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = turn.waiting.shift();
    // The next caller takes over the place.
    if (next !== undefined) next();
    else {
      turn.taken -= 1;
      if (turn.taken === 0) turns.delete(taskId);
    }
  }
}

/** How long to try when a workflow has no room for another update, in milliseconds. */
const ROOM_MS = 6_000;

/**
 * Sends an update to a task's workflow.
 * @returns its answer, and the task as it is recorded then
 * @throws MembridgeError conflict with the state machine's reason when it refuses, or when the task has ended;
 * not_found; engine_unavailable
 */
export async function askTask<T>(
  deps: Deps,
  id: string,
  ask: (client: Client) => Promise<T>,
): Promise<{ answer: T; row: TaskRow }> {
  const deadline = Date.now() + ROOM_MS;
  for (;;) {
    try {
      const answer = await runInTurn(id, () => callEngine(deps.engine, ask));
      return { answer, row: await requireTask(deps, id) };
    } catch (error) {
      if (isFull(error) && Date.now() < deadline) {
        await sleep(20 + Math.random() * 180);
        continue;
      }
      throw await toConflict(deps, id, error);
    }
  }
}

function isFull(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === RESOURCE_EXHAUSTED;
}

async function toConflict(deps: Deps, id: string, error: unknown): Promise<unknown> {
  if (error instanceof WorkflowNotFoundError) {
    const row = await requireTask(deps, id);
    return new MembridgeError('conflict', `The task is ${row.status}; that is no longer possible.`);
  }
  if (error instanceof WorkflowUpdateFailedError) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure && cause.type === 'conflict') {
      return new MembridgeError('conflict', cause.message, { cause });
    }
    // It ended, or continued in another run, while the update was on its way.
    const row = await requireTask(deps, id);
    return new MembridgeError('conflict', `The task is ${row.status}; that is not possible now.`, { cause });
  }
  return error;
}

/** Returns the lease that a worker acts for, from its request. */
export function fenceOf(body: {
  lease_id?: string | undefined;
  epoch?: number | undefined;
  worker_id?: string | undefined;
}): Fence {
  return { leaseId: body.lease_id, epoch: body.epoch, worker: body.worker_id };
}
