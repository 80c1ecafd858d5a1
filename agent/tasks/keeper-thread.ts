/**
 * Keeps the leases of running tasks from a thread of its own, over a connection of its own: whatever the agent's main thread is busy
 * with, heartbeats go out. And it is the fence on this side: a lease that could not be renewed is about to be somebody else's, so the
 * process group that works under it is killed from here, before that.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Connection } from '@temporalio/client';
import { connectionOptions } from '../../engine/connect.ts';
import { openEngineTunnel } from '../tunnel/engine-tunnel.ts';
import type { FromKeeper, KeeperOptions, Lost, ToKeeper } from './keeper-messages.ts';

/** How often it looks what is due, in milliseconds. */
const TICK_MS = 200;
/**
 * How often a lease is renewed, in milliseconds. Each renewal costs the engine some eight statements, and a cancellation is heard of
 * with the next one. Short leases are renewed five times in their life.
 */
const RENEW_MS = 3_000;
/** How long one renewal may take, in milliseconds. */
const CALL_MS = 2_000;
/** The part of a lease's life after which it is given up: the rest is for killing, and for clocks. */
const GIVEN_UP = 0.8;
/** gRPC's NOT_FOUND. */
const NOT_FOUND = 5;

interface Kept {
  readonly token: Uint8Array;
  readonly ttlMs: number;
  /** By the monotonic clock, in milliseconds. */
  confirmedAt: number;
  /** The same by the wall clock: the monotonic one stands still while the machine sleeps. */
  confirmedWall: number;
  sentAt: number;
  inFlight: boolean;
  lost: boolean;
  readonly groups: Set<number>;
}

const options = workerData as KeeperOptions;
const port = parentPort;
if (port === null) throw new Error('this is a thread of the agent');
const kept = new Map<number, Kept>();
const say = (message: FromKeeper): void => port.postMessage(message);
const { tunnel } = options;
// The agent's main thread reports what is wrong with a tunnel; this one leads to the same place.
const engine = tunnel === null ? options : await openEngineTunnel({ ...tunnel, report: () => undefined });
const connection = Connection.lazy(connectionOptions(engine));

port.on('message', (message: ToKeeper) => {
  switch (message.type) {
    case 'keep': {
      const now = performance.now();
      kept.set(message.id, {
        token: Buffer.from(message.token, 'base64'),
        ttlMs: message.ttlMs,
        confirmedAt: now,
        confirmedWall: Date.now(),
        sentAt: now,
        inFlight: false,
        lost: false,
        groups: new Set(),
      });
      break;
    }
    case 'group': {
      const lease = kept.get(message.id);
      if (lease === undefined) break;
      if (message.works) lease.groups.add(message.group);
      else lease.groups.delete(message.group);
      // Its program was started when the lease was lost already.
      if (lease.lost) kill(lease);
      break;
    }
    case 'leave':
      kept.delete(message.id);
      break;
  }
});

setInterval(() => {
  const now = performance.now();
  for (const [id, lease] of kept) {
    if (lease.lost) continue;
    const age = Math.max(now - lease.confirmedAt, Date.now() - lease.confirmedWall);
    if (age >= lease.ttlMs * GIVEN_UP) {
      kill(lease);
      lose(id, lease, 'expired');
    } else if (!lease.inFlight && now - lease.sentAt >= Math.min(RENEW_MS, lease.ttlMs / 5)) {
      void renew(id, lease);
    }
  }
}, TICK_MS);

async function renew(id: number, lease: Kept): Promise<void> {
  lease.inFlight = true;
  lease.sentAt = performance.now();
  const { sentAt } = lease;
  const at = Date.now();
  try {
    const answer = await connection.withDeadline(at + CALL_MS, () =>
      connection.workflowService.recordActivityTaskHeartbeat({
        namespace: options.namespace,
        identity: options.identity,
        taskToken: lease.token,
      }),
    );
    lease.confirmedAt = sentAt;
    lease.confirmedWall = at;
    say({ type: 'confirmed', id, at });
    if (answer.cancelRequested) lose(id, lease, 'cancelled');
  } catch (error) {
    if ((error as { code?: unknown }).code === NOT_FOUND) lose(id, lease, 'gone');
  } finally {
    lease.inFlight = false;
  }
}

/** The agent ends the program in an orderly way; where the lease is about to be another's there is no time for that. */
function lose(id: number, lease: Kept, reason: Lost): void {
  if (lease.lost || !kept.has(id)) return;
  // One that is being cancelled is kept until its program is dead.
  if (reason !== 'cancelled') lease.lost = true;
  if (reason === 'gone') kill(lease);
  say({ type: 'lost', id, reason });
}

function kill({ groups }: Kept): void {
  for (const group of groups) {
    if (group < 2) continue;
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // It is dead.
    }
  }
}
