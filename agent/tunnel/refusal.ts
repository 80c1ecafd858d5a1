import type { IncomingMessage } from 'node:http';

/** What a WebSocket is for, in the words of messages. */
export interface SocketPurpose {
  readonly name: string;
  readonly ifOld: string;
}

/** How many characters of an answer are read. */
const MAX_ANSWER_CHARS = 4_096;
/** How long an answer may take, in milliseconds. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * Returns why the control plane, or a server in front of it, opened no WebSocket.
 * @param purpose.name what the WebSocket is for, such as "engine tunnel"
 * @param purpose.ifOld what to do where the control plane is too old to have it; ends a sentence
 */
export async function readRefusal(
  response: IncomingMessage,
  serverUrl: string,
  purpose: SocketPurpose,
): Promise<string> {
  const status = response.statusCode ?? 0;
  const detail = detailOf(await readStart(response));
  if (detail === null) {
    return `Something between this machine and ${serverUrl} answered ${status} in place of a WebSocket. Have the proxy pass WebSockets on.`;
  }
  if (status === 404) {
    return `The control plane at ${serverUrl} has no ${purpose.name}: it is older than this agent. ${purpose.ifOld}`;
  }
  return `The control plane at ${serverUrl} refused the ${purpose.name} with ${status}: ${detail}`;
}

async function readStart(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setTimeout(ANSWER_WITHIN_MS, () => response.destroy());
  try {
    for await (const piece of response.setEncoding('utf8')) {
      text += String(piece);
      if (text.length > MAX_ANSWER_CHARS) break;
    }
  } catch {
    // The part that arrived before the break may still say why.
  }
  return text;
}

/** Returns the sentence in an answer of the control plane; null when another server answered. */
function detailOf(text: string): string | null {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : null;
  } catch {
    return null;
  }
}
