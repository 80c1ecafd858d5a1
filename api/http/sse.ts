import type { Request, Response } from 'express';
import type { ServerEvent } from '../../contract/events.ts';
import { readEventRange, readEvents, type NumberedEvent } from '../../db/queries/read-events.ts';
import type { Deps } from '../deps.ts';
import { onHeartbeats } from '../nodes/heartbeats.ts';
import { withHistoryUrl } from '../spaces/history-url.ts';
import { showClone, showSummary } from '../projects/show.ts';
import { withTaskUrl } from '../tasks/show.ts';
import { showProposal } from '../proposals/show.ts';

/** How often an idle stream sends a comment, in milliseconds: proxies cut streams that stay silent. */
const PING_MS = 15_000;
/** How often a stream checks whether its caller may still read, in milliseconds. */
export const CHECK_MS = 2_000;
/** How soon a browser reconnects after a break, in milliseconds. */
const RECONNECT_MS = 1_000;
/** A client with this many unread bytes is disconnected; it returns with Last-Event-ID and misses nothing. */
const MAX_UNREAD_BYTES = 256 * 1_024;
/** How many events are read at a time during a replay. */
const REPLAY_BATCH = 500;

/** The open streams, so that a shutdown can end them. */
const openStreams = new WeakMap<Deps['events'], Set<Response>>();

/** Ends every open stream of a hub; browsers reconnect automatically. */
export function endStreams(hub: Deps['events']): void {
  for (const res of openStreams.get(hub) ?? []) res.end();
}

/**
 * Serves `GET /api/events`: the events after the client's last one, then every new event, until it disconnects.
 * @param stillAllowed checked every two seconds; the stream ends when it returns false (a browser that signed out)
 */
export async function streamEvents(
  req: Request,
  res: Response,
  deps: Deps,
  stillAllowed: () => Promise<boolean>,
): Promise<void> {
  const after = readLastEventId(req);
  // Subscribed before anything is read, so that events that commit during the replay wait here and are not lost.
  const waiting: NumberedEvent[] = [];
  let live = false;
  let sent = deps.events.position;
  const send = (event: NumberedEvent): void => {
    if (res.writableEnded || (event.seq <= sent && event.event.type !== 'reset')) return;
    sent = event.seq;
    writeEvent(res, event.seq, withUrls(event.event, deps));
    if (res.writableLength > MAX_UNREAD_BYTES) res.destroy();
  };
  const unsubscribe = deps.events.subscribe((event) => {
    if (live) send(event);
    else waiting.push(event);
  });
  const stopHeartbeats = onHeartbeats(deps, (nodes) => {
    // A client that reads slowly misses these, and gets the next ones.
    if (live && !res.writableNeedDrain) writeEvent(res, null, { type: 'heartbeats', nodes: [...nodes] });
  });
  attendStream(res, deps, stillAllowed);
  deps.metrics.sseClients.inc();
  res.once('close', () => {
    unsubscribe();
    stopHeartbeats();
    deps.metrics.sseClients.dec();
  });
  const range = await readEventRange(deps.db);
  if (res.writableEnded || res.destroyed) return;
  openStream(res);
  if (after === null || isLost(after, range)) {
    sent = Math.max(sent, range.last ?? 0);
    // An id without data is no event, but the browser stores it for Last-Event-ID.
    if (after === null) res.write(`id: ${sent}\n\n`);
    else writeEvent(res, sent, { type: 'reset' });
  } else {
    sent = after;
    await replay(res, deps, send, () => sent);
  }
  live = true;
  for (const event of waiting) send(event);
}

async function replay(
  res: Response,
  deps: Deps,
  send: (event: NumberedEvent) => void,
  position: () => number,
): Promise<void> {
  for (;;) {
    const batch = await readEvents(deps.db, { after: position(), limit: REPLAY_BATCH });
    for (const event of batch) {
      send(event);
      // A replay can be long: wait for the client instead of disconnecting it.
      if (res.writableNeedDrain && !(await waitUntilDrained(res))) return;
    }
    if (batch.length < REPLAY_BATCH) return;
  }
}

/**
 * Keeps a stream alive for proxies with a comment every 15 seconds, and ends it when the process stops.
 * @param stillAllowed checked every two seconds; the stream ends when it returns false
 */
export function attendStream(
  res: Response,
  deps: Pick<Deps, 'events'>,
  stillAllowed: () => Promise<boolean>,
): void {
  const streams = trackStream(res, deps);
  const ping = setInterval(() => {
    res.write(': ping\n\n');
    if (res.writableLength > MAX_UNREAD_BYTES) res.destroy();
  }, PING_MS);
  const check = setInterval(() => {
    stillAllowed().then(
      (allowed) => allowed || res.end(),
      () => undefined, // PostgreSQL is away; the next check tries again.
    );
  }, CHECK_MS);
  res.once('close', () => {
    clearInterval(ping);
    clearInterval(check);
    streams.delete(res);
  });
}

/** Ends a stream when the process stops. @returns the streams of the hub */
export function trackStream(res: Response, deps: Pick<Deps, 'events'>): Set<Response> {
  const streams = openStreams.get(deps.events) ?? new Set();
  openStreams.set(deps.events, streams.add(res));
  return streams;
}

/** Waits until a client has read what was written. @returns false when it disconnected */
export async function waitUntilDrained(res: Response): Promise<boolean> {
  return await new Promise((resolve) => {
    res.once('drain', () => resolve(true));
    res.once('close', () => resolve(false));
  });
}

/** Returns whether retention removed events after `after`, or `after` belongs to another database. */
function isLost(after: number, { first, last }: { first: number | null; last: number | null }): boolean {
  if (first === null || last === null) return after > 0;
  return after < first - 1 || after > last;
}

function readLastEventId(req: Request): number | null {
  const given = req.get('Last-Event-ID') ?? req.query['last_event_id'];
  return typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : null;
}

/** Starts a stream of server-sent events. */
export function openStream(res: Response): void {
  res.status(200).set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    // Without this, nginx holds the events back until its buffer is full.
    'X-Accel-Buffering': 'no',
  });
  res.flushHeaders();
  res.write(`retry: ${RECONNECT_MS}\n\n`);
}

/** Writes an event; without a number it does not change the client's position. */
function writeEvent(res: Response, seq: number | null, event: ServerEvent): void {
  res.write(`${seq === null ? '' : `id: ${seq}\n`}data: ${JSON.stringify(event)}\n\n`);
}

function withUrls(event: ServerEvent, deps: Deps): ServerEvent {
  switch (event.type) {
    case 'job':
      return { ...event, job: withHistoryUrl(event.job, deps.config) };
    case 'project':
      return { ...event, project: showSummary(deps, event.project) };
    case 'project-node':
      return { ...event, status: showClone(deps, event.status) };
    case 'task':
      return { ...event, task: withTaskUrl(deps, event.task) };
    case 'proposal':
      return { ...event, proposal: showProposal(deps, event.proposal) };
    default:
      return event;
  }
}
