import { once } from 'node:events';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import { AGENT_CALLS_PATH, type AnsweringFrame, type AskingFrame } from '../../contract/nodes/agent-calls.ts';

/** The socket for calls of a node without an agent: a test answers on it, as somebody with a stolen key would. */
export interface CallNode {
  readonly socket: WebSocket;
  /** Every frame that arrived. */
  readonly frames: AskingFrame[];
  /** Waits for the next call with a name that was not returned yet. */
  nextCall(name?: string): Promise<Extract<AskingFrame, { type: 'call' }>>;
  send(frame: AnsweringFrame | object): void;
  /** The code with which the socket closed; null while it is open. */
  readonly closed: number | null;
}

/** Opens the socket for calls with a node's key. */
export async function openCallNode(serverUrl: string, key: string): Promise<CallNode> {
  const socket = new WebSocket(`${serverUrl.replace(/^http/, 'ws')}${AGENT_CALLS_PATH}`, {
    headers: { 'X-MEMBRIDGE-AGENT': key },
    perMessageDeflate: false,
  });
  const frames: AskingFrame[] = [];
  const taken = new Set<number>();
  let closed: number | null = null;
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString('utf8')) as AskingFrame));
  socket.once('close', (code) => {
    closed = code;
  });
  await once(socket, 'open');
  socket.on('error', () => undefined);
  const find = (name?: string) =>
    frames.find(
      (frame): frame is Extract<AskingFrame, { type: 'call' }> =>
        frame.type === 'call' && !taken.has(frame.id) && (name === undefined || frame.name === name),
    );
  return {
    socket,
    frames,
    nextCall: async (name) => {
      await expect.poll(() => find(name)).toBeDefined();
      const call = find(name);
      if (call === undefined) throw new Error('the call vanished');
      taken.add(call.id);
      return call;
    },
    send: (frame) => socket.send(JSON.stringify(frame)),
    get closed() {
      return closed;
    },
  };
}
