import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { frame } from '../test/gateway/tunnel-client.ts';
import { MAX_MESSAGE_BYTES, frameMessage, readMessage } from './frame.ts';

const text = Buffer.from('hello');

describe('frames of gRPC', () => {
  it('returns the message of a frame, plain or compressed', async () => {
    expect(await readMessage(frameMessage(text), undefined)).toEqual(text);
    expect(await readMessage(frame(gzipSync(text), true), 'gzip')).toEqual(text);
    expect(await readMessage(frameMessage(Buffer.alloc(MAX_MESSAGE_BYTES)), undefined)).toHaveLength(
      MAX_MESSAGE_BYTES,
    );
  });

  it.each<[string, Buffer, string | undefined, RegExp]>([
    ['an empty body', Buffer.alloc(0), undefined, /header/],
    ['half a header', Buffer.from([0, 0]), undefined, /header/],
    ['a message that is cut short', frame(text, false, 6), undefined, /announces 6 bytes and has 5/],
    ['a second message', Buffer.concat([frame(text), frame(text)]), undefined, /announces 5/],
    ['a compressed message without an encoding', frame(gzipSync(text), true), undefined, /gzip/],
    ['an encoding that is not gzip', frame(text, true), 'deflate', /gzip/],
    ['an unknown flag', Buffer.from([2, 0, 0, 0, 0]), 'gzip', /gzip/],
    ['bytes that are no gzip', frame(text, true), 'gzip', /not one whole gRPC message/],
    ['a gzip that is cut short', frame(gzipSync(text).subarray(0, -9), true), 'gzip', /not one whole/],
  ])('refuses %s as malformed', async (_what, body, encoding, message) => {
    await expect(readMessage(body, encoding)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(message) as string,
    });
  });

  it.each<[string, Buffer]>([
    ['announces more than the limit', frame(text, false, MAX_MESSAGE_BYTES + 1)],
    ['grows beyond the limit', frame(gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES + 1)), true)],
    ['is a bomb of 256 MB', frame(gzipSync(Buffer.alloc(2 ** 28)), true)],
  ])('refuses a message that %s, with the sentence that the SDK recognizes', async (_what, body) => {
    await expect(readMessage(body, 'gzip')).rejects.toMatchObject({
      code: 'too_large',
      message: expect.stringMatching(
        /^grpc: received message (after decompression )?larger than max/,
      ) as string,
    });
  });
});
