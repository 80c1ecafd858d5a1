import type { Readable } from 'node:stream';
import { tooLargeError } from './frame.ts';

/**
 * Reads a stream to its end.
 * @param maxBytes the limit at which it stops reading
 * @param onBytes called with the size of each chunk; an error that it throws ends the reading
 * @throws MembridgeError too_large; Error when the stream breaks off; whatever `onBytes` throws
 */
export async function readToEnd(
  stream: Readable,
  maxBytes: number,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const add = (piece: Buffer): void => {
    size += piece.length;
    try {
      if (size > maxBytes) throw tooLargeError(size);
      onBytes(piece.length);
      pieces.push(piece);
    } catch (error) {
      stream.off('data', add).pause();
      reject(error);
    }
  };
  stream.on('data', add);
  stream.once('error', reject);
  stream.once('aborted', () => reject(new Error('the call broke off')));
  stream.once('close', () => reject(new Error('the call broke off')));
  stream.once('end', () => resolve(Buffer.concat(pieces)));
  return await promise;
}
