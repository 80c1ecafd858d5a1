/**
 * The agreement between the two ends of the WebSocket for calls: agent/remote opens it, gateway/ accepts it. Each
 * message is one frame, a JSON text.
 */
import { z } from 'zod';
import type { ErrorCode } from '../error-table.ts';

/** The path of the WebSocket, below the control plane's URL. */
export const AGENT_CALLS_PATH = '/api/agent/calls';

/** The most bytes of one frame. */
export const MAX_CALL_FRAME_BYTES = 1_048_576;

/** The most bytes of one answer, all of its pieces together. */
export const MAX_CALL_ANSWER_BYTES = 8_388_608;

/** How many characters of an answer go into one frame: JSON may need six bytes for each. */
export const CALL_PIECE_CHARS = 131_072;

/** How many calls a node works on at the same time. */
export const MAX_CALLS_AT_ONCE = 4;

/** How many readers of its log a node serves at the same time, besides these calls. */
export const MAX_LOGS_AT_ONCE = 4;

const Id = z.number().int().positive();

/** A frame of the control plane. Unknown fields and types are those of a newer one. */
export const AskingFrame = z.discriminatedUnion('type', [
  /** Asks something. Ids rise by one with each call of a socket. `deadline_ms` counts from the arrival. */
  z.object({
    type: z.literal('call'),
    id: Id,
    name: z.string().max(64),
    input: z.unknown(),
    deadline_ms: z.number().int().positive(),
  }),
  /** Nobody waits for the answer any longer. */
  z.object({ type: z.literal('cancel'), id: Id }),
]);
export type AskingFrame = z.infer<typeof AskingFrame>;

/** The most characters of a node's sentence about a problem. */
export const MAX_CALL_PROBLEM_CHARS = 2_000;

/** A frame of a node. The answer is the JSON text that the pieces and the last part make together. */
export const AnsweringFrame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('piece'), id: Id, text: z.string() }),
  z.object({ type: z.literal('answer'), id: Id, text: z.string() }),
  z.object({
    type: z.literal('problem'),
    id: Id,
    code: z.string(),
    message: z.string().max(MAX_CALL_PROBLEM_CHARS),
  }),
]);
export type AnsweringFrame = z.infer<typeof AnsweringFrame>;

/**
 * The problems that a node may report in an answer. Every other code becomes `call_failed`: a node must not be able to
 * sign a browser out, for example.
 */
const CODES_OF_NODES: readonly ErrorCode[] = [
  'bad_request',
  'not_found',
  'conflict',
  'too_many_requests',
  'disk_full',
  'ledger_failed',
  'memory_corrupt',
  'memory_failed',
  'memory_in_use',
  'memory_index_damaged',
  'memory_locked',
  'memory_missing',
  'memory_schema_unknown',
  'memory_unreadable',
  'store_refused',
  'store_unavailable',
];

/** Returns the code under which a caller gets the problem that a node reported. */
export function codeOfNode(code: string): ErrorCode {
  return CODES_OF_NODES.find((each) => each === code) ?? 'call_failed';
}
