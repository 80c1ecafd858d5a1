import { constants, type ServerHttp2Stream } from 'node:http2';
import { MembridgeError, type ErrorCode } from '../contract/errors.ts';

/** The gRPC status of each error that a call can cause; every other error is INTERNAL. */
const GRPC_STATUS: Partial<Record<ErrorCode, number>> = {
  bad_request: 3,
  forbidden: 7,
  too_large: 8,
  too_many_requests: 8,
  engine_unavailable: 14,
  unauthorized: 16,
};
const INTERNAL = 13;
/** How long the rest of a refused call may take to arrive, in milliseconds. */
const DRAIN_MS = 2_000;

/** Answers a call with an error, in headers that are also the trailers. */
export function refuseCall(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return;
  const isOurs = error instanceof MembridgeError;
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String((isOurs ? GRPC_STATUS[error.code] : undefined) ?? INTERNAL),
      // The header accepts only ASCII; gRPC wants the rest percent-encoded.
      'grpc-message': encodeURIComponent(isOurs ? error.message : 'Something went wrong in the gateway.'),
    },
    { endStream: true },
  );
  // The rest of a refused call is discarded. An immediate reset could overtake the answer.
  stream.resume();
  const late = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), DRAIN_MS);
  late.unref();
  stream.once('close', () => clearTimeout(late));
}
