import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TaskTokens } from './task-tokens.ts';

const key = generateKeyPairSync('ed25519').privateKey;
const tokens = new TaskTokens(key);
const token = Buffer.from('a token of Temporal');
const bound = tokens.bind('ada', token);

describe('task tokens', () => {
  it('are valid for the node that received them, also at another control plane with the same key', () => {
    expect(tokens.release('ada', bound)).toEqual(token);
    expect(new TaskTokens(key).release('ada', bound)).toEqual(token);
  });

  it.each<[string, string, Uint8Array]>([
    ['of another node', 'bob', bound],
    ['with one bit changed in the token', 'ada', flip(bound, 0)],
    ['with one bit changed in the code', 'ada', flip(bound, bound.length - 1)],
    ['without its code', 'ada', token],
    ['that lost its last byte', 'ada', bound.subarray(0, -1)],
    ['that is longer', 'ada', Buffer.concat([bound, Buffer.from([0])])],
    ['of another control plane', 'ada', foreign().bind('ada', token)],
    ['that is nothing but a code', 'ada', tokens.bind('ada', new Uint8Array())],
    ['that is empty', 'ada', new Uint8Array()],
    ['whose node and token are cut at another place', 'ada\0a', tokens.bind('ada', Buffer.from('a\0 token'))],
  ])('refuses a token %s', (_what, node, given) => {
    expect(tokens.release(node, given)).toBeNull();
  });
});

function foreign(): TaskTokens {
  return new TaskTokens(generateKeyPairSync('ed25519').privateKey);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
}
