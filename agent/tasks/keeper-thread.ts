/**
 * Renews the leases of running tasks in its own thread, over its own connection: heartbeats go out however busy the
 * main thread is. This thread is also the fence on this side. When a lease could not be renewed, another node may
 * soon get it. So the thread kills the process group that runs under the lease before that.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Connection } from '@temporalio/client';
import { connectionOptions } from '../../engine/connect.ts';
import { openEngineTunnel } from '../tunnel/engine-tunnel.ts';
import type { FromKeeper, KeeperOptions, Lost, ToKeeper } from './keeper-messages.ts';

/** How often the thread checks what is due, in milliseconds. */
const TICK_MS = 200;
/**
 * How often a lease is renewed, in milliseconds. Each renewal costs Temporal some eight statements. Its answer also
 * carries a cancellation. Short leases are renewed five times in their life.
 */
const RENEW_MS = 3_000;
/** How long one renewal may take, in milliseconds. */
const CALL_MS = 2_000;
/**
 * The part of a lease's life after which the thread gives it up. The rest is for killing the program, and for clock
 * differences.
 */
const GIVEN_UP = 0.8;
/** gRPC's NOT_FOUND. */
const NOT_FOUND = 5;

interface Kept {
  readonly token: Uint8Array;
  readonly ttlMs: number;
  /** Monotonic clock, in milliseconds. */
  confirmedAt: number;
  /** The same moment by the wall clock: the monotonic one stands still while the machine sleeps. */
  confirmedWall: number;
  sentAt: number;
  inFlight: boolean;
  lost: boolean;
  readonly groups: Set<number>;
}

const options = workerData as KeeperOptions;
const port = parentPort;
if (port === null) throw new Error('agent/tasks/keeper-thread.ts runs as a worker thread only');
const kept = new Map<number, Kept>();
const say = (message: FromKeeper): void => port.postMessage(message);
const { tunnel } = options;
// The main thread reports what is wrong with a tunnel; this one leads to the same place, so it reports nothing.
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
      // The lease was lost before its program started.
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

/**
 * Ends a lease. Usually the agent ends the program in an orderly way; a lease that another node may get leaves no
 * time for that.
 */
function lose(id: number, lease: Kept, reason: Lost): void {
  if (lease.lost || !kept.has(id)) return;
  // A cancelled lease is renewed until its program is dead.
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
      // The process group is dead already.
    }
  }
}
