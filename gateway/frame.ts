import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { MembridgeError, errorMessage } from '../contract/errors.ts';

/** Bytes before each message: whether it is compressed, and its length. */
const HEADER_BYTES = 5;
/** The most bytes of one message, compressed or not: Temporal's own limit. */
export const MAX_MESSAGE_BYTES = 4_194_304;
/**
 * The most bytes of an answer. Temporal may send more than it accepts: a task carries its input and the details of
 * its last heartbeat.
 */
export const MAX_ANSWER_BYTES = 33_554_432;
/** The most bytes of a request's body: one frame. */
export const MAX_BODY_BYTES = HEADER_BYTES + MAX_MESSAGE_BYTES;

const inflate = promisify(gunzip);

/**
 * Returns the only message in the body of a unary call.
 * @param encoding the call's `grpc-encoding`
 * @param maxBytes of the message, compressed or not
 * @throws MembridgeError bad_request when the body is not exactly one frame; too_large
 */
export async function readMessage(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number = MAX_MESSAGE_BYTES,
): Promise<Buffer> {
  if (body.length < HEADER_BYTES) throw malformedError('it ends within the header of its frame');
  const flag = body.readUInt8(0);
  const length = body.readUInt32BE(1);
  if (length > maxBytes) throw tooLargeError(length);
  if (body.length !== HEADER_BYTES + length) {
    throw malformedError(`its frame announces ${length} bytes and has ${body.length - HEADER_BYTES}`);
  }
  const message = body.subarray(HEADER_BYTES);
  if (flag === 0) return message;
  if (flag !== 1 || encoding !== 'gzip')
    throw malformedError('it is compressed by something other than gzip');
  try {
    return await inflate(message, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLargeError(null);
    throw malformedError(errorMessage(error));
  }
}

/** Wraps a message in an uncompressed frame. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/**
 * Makes the error of a message that is too large, in Temporal's own words. The SDK recognizes them and does not send
 * the message again.
 * @param bytes its size; null for a compressed message that grows beyond the limit
 */
export function tooLargeError(bytes: number | null): MembridgeError {
  const size = bytes === null ? 'more' : String(bytes);
  const kind = bytes === null ? 'received message after decompression' : 'received message';
  return new MembridgeError('too_large', `grpc: ${kind} larger than max (${size} vs. ${MAX_MESSAGE_BYTES})`);
}

function malformedError(why: string): MembridgeError {
  return new MembridgeError('bad_request', `The call is not one whole gRPC message: ${why}.`);
}
