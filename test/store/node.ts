import { createHash } from 'node:crypto';
import {
  SHA256_HEADER,
  STORE_LIST_PATH,
  STORE_OBJECTS_PATH,
  type StoredObjects,
} from '../../contract/nodes/agent-store.ts';
import type { EnrolResponse } from '../../contract/nodes/nodes.ts';
import { segmentKey } from '../../memory/format/layout.ts';
import { enrolNode, type TestPlane } from '../support/control-plane.ts';
import { sendRaw, type RawAnswer } from '../support/raw-request.ts';

/** Returns SHA-256 in lower-case hex. */
export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** A node that calls the store routes with its real key, without an agent. */
export interface StoreNode {
  readonly id: string;
  readonly enrolled: EnrolResponse;
  /** Sends a request without a body. */
  ask(method: string, key: string): Promise<RawAnswer>;
  put(key: string, bytes: Buffer, headers?: Record<string, string>): Promise<RawAnswer>;
  list(prefix: string, startAfter?: string): Promise<{ status: number; page: StoredObjects }>;
  /** Returns the headers of an upload of some bytes. */
  upload(bytes: Buffer): Record<string, string>;
}

/** Enrols a node that takes part in every space. */
export async function enrolStoreNode(
  test: Pick<TestPlane, 'call'> & { plane: { url: string } },
  id: string,
): Promise<StoreNode> {
  const enrolled = await enrolNode(test, id);
  const url = test.plane.url;
  const own = { 'X-MEMBRIDGE-AGENT': enrolled.agent_key };
  const upload = (bytes: Buffer): Record<string, string> => ({
    ...own,
    'Content-Length': String(bytes.length),
    [SHA256_HEADER]: sha256(bytes),
  });
  return {
    id,
    enrolled,
    upload,
    ask: async (method, key) => await sendRaw(url, method, `${STORE_OBJECTS_PATH}${key}`, { headers: own }),
    put: async (key, bytes, headers = {}) =>
      await sendRaw(url, 'PUT', `${STORE_OBJECTS_PATH}${key}`, {
        headers: { ...upload(bytes), ...headers },
        pieces: [bytes],
      }),
    list: async (prefix, startAfter = '') => {
      const query = new URLSearchParams({ prefix, start_after: startAfter });
      const { status, bytes } = await sendRaw(url, 'GET', `${STORE_LIST_PATH}?${query}`, { headers: own });
      return { status, page: JSON.parse(bytes.toString()) as StoredObjects };
    },
  };
}

/** Returns the key under which a node may store some bytes as its segment. */
export function segmentKeyOf(cid: string, node: string, seq: number, bytes: Buffer): string {
  return segmentKey(cid, { node, epoch: '1abc', seq, hash: sha256(bytes).slice(0, 32) });
}

/** Returns the code of a refusal. */
export function refusalCode({ bytes }: RawAnswer): string {
  return String((JSON.parse(bytes.toString()) as { code?: unknown }).code);
}
