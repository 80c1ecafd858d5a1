import { setTimeout as sleep } from 'node:timers/promises';
import type { WebSocket } from '../../transport/requests.ts';
import { AGENT_CALLS_PATH, MAX_CALL_FRAME_BYTES } from '../../contract/nodes/agent-calls.ts';
import type { Server } from '../../transport/server.ts';
import { openAgentSocket } from '../tunnel/agent-socket.ts';
import { Outage } from '../tunnel/outage.ts';

/** The options of a link. */
export interface CallLinkOptions {
  readonly server: Server;
  /** The node's own key. */
  readonly agentKey: string;
  /** Called with each WebSocket that opened. */
  readonly serve: (socket: WebSocket) => void;
  /** Called with why the link does not work, and with null once it works again. */
  readonly report: (problem: string | null) => void;
}

/**
 * Keeps a WebSocket to the control plane open, on which it passes on calls of people. After a failure it opens another
 * one, with the pauses of the engine tunnel.
 * @returns a function that closes it
 */
export function openCallLink(options: CallLinkOptions): () => void {
  const closed = new AbortController();
  void keepOpen(options, closed.signal);
  return () => closed.abort();
}

async function keepOpen({ report, ...options }: CallLinkOptions, closed: AbortSignal): Promise<void> {
  const outage = new Outage(report);
  while (!closed.aborted) {
    await sleep(outage.pauseMs(), undefined, { signal: closed }).catch(() => undefined);
    if (closed.aborted) return;
    const problem = await openOnce(options, closed, () => outage.worked());
    if (!closed.aborted) outage.failed(problem);
  }
}

/** Opens the WebSocket once. @returns why it ended, or did not open */
async function openOnce(
  { server, agentKey, serve }: Omit<CallLinkOptions, 'report'>,
  closed: AbortSignal,
  worked: () => void,
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = openAgentSocket(
    {
      server,
      agentKey,
      path: AGENT_CALLS_PATH,
      purpose: {
        name: 'socket for calls',
        ifOld: 'Until you upgrade it, people cannot ask this node from the page.',
      },
      maxMessageBytes: MAX_CALL_FRAME_BYTES,
    },
    {
      opened: () => {
        worked();
        serve(socket);
      },
      failed: resolve,
    },
  );
  const end = (): void => socket.terminate();
  closed.addEventListener('abort', end, { once: true });
  try {
    return await promise;
  } finally {
    closed.removeEventListener('abort', end);
    socket.terminate();
  }
}
