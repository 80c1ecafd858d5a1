import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

const Request = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })),
});

/** One request of the program, as far as a test reads it. */
export interface Question {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  /** The key that the program sent. */
  readonly key: string | null;
}

/** The model's reply: a text, or a tool call. */
export type Reply = string | { readonly tool: string; readonly input: Record<string, unknown> };

/** A service that stands in for the one behind Claude Code: the program is real, and the test writes the model's replies. */
export interface ModelService {
  readonly url: string;
  /** Every request, in order. */
  readonly questions: readonly Question[];
  close(): Promise<void>;
}

/**
 * Serves the Messages API on loopback, with server-sent events as the real service sends them.
 * @param answer returns the reply to a request
 */
export async function startModelService(answer: (question: Question) => Reply): Promise<ModelService> {
  const questions: Question[] = [];
  const server = createServer((request, response) => {
    void serve(request, response, (question) => {
      questions.push(question);
      return answer(question);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    questions,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (question: Question) => Reply,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.method !== 'POST' || request.url?.startsWith('/v1/messages?') !== true) {
    response.writeHead(request.method === 'HEAD' ? 200 : 404).end();
    return;
  }
  const { model, messages } = Request.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  const key = request.headers['x-api-key'] ?? request.headers.authorization ?? null;
  const reply = answer({ model, messages, key: key === null ? null : String(key) });
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for (const event of eventsOf(reply, model)) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  response.end();
}

let replies = 0;

function eventsOf(reply: Reply, model: string): { type: string; [name: string]: unknown }[] {
  replies += 1;
  const isText = typeof reply === 'string';
  const usage = { input_tokens: 10, output_tokens: 5 };
  const message = { id: `msg_${replies}`, type: 'message', role: 'assistant', model, content: [] };
  return [
    { type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null, usage } },
    {
      type: 'content_block_start',
      index: 0,
      content_block: isText
        ? { type: 'text', text: '' }
        : { type: 'tool_use', id: `toolu_${replies}`, name: reply.tool, input: {} },
    },
    {
      type: 'content_block_delta',
      index: 0,
      delta: isText
        ? { type: 'text_delta', text: reply }
        : { type: 'input_json_delta', partial_json: JSON.stringify(reply.input) },
    },
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: isText ? 'end_turn' : 'tool_use', stop_sequence: null },
      usage,
    },
    { type: 'message_stop' },
  ];
}
