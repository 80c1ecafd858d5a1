import { z } from 'zod';
import {
  STORE_LIST_PATH,
  STORE_OBJECTS_PATH,
  STORE_PAGE_OBJECTS,
  StoredObject,
  StoredObjects,
} from '../../contract/nodes/agent-store.ts';
import { defineRoute } from '../http/route.ts';
import { allowList } from '../store/allow.ts';
import { countRequest } from '../store/count-request.ts';
import { receiveObject, removeObject, sendObject } from '../store/objects.ts';

const tag = 'Agent';
const path = `${STORE_OBJECTS_PATH}*key`;
/** Express splits the key at its slashes. Handlers use the path as it was sent. */
const params = z.strictObject({
  key: z.preprocess((parts) => (Array.isArray(parts) ? parts.join('/') : parts), z.string()),
});
const refusals = {
  400: 'A node cannot ask for this key',
  403: 'The node may not do this with this object; the answer says why',
};
/** No rate limit: agents are known, and each may run only a few transfers at the same time. */
const common = { auth: 'node', tag, unlimited: true } as const;

/** Objects of the store, as nodes read and write them. api/store/may-touch.ts decides who may do what. */
export const agentStoreRoutes = [
  defineRoute({
    ...common,
    method: 'get',
    path,
    params,
    summary: 'Read an object of the store, as a node',
    description:
      'HEAD answers with only its size and ETag. The key stands in the path as it is, without percent-encoding.',
    status: 200,
    content: 'application/octet-stream',
    errors: { ...refusals, 404: 'There is no such object', 429: 'The node has too many open transfers' },
    handle: async ({ caller: { node = '' }, req, res }, deps) =>
      await countRequest(deps, { node, method: req.method }, () => sendObject({ node, req, res }, deps)),
  }),
  defineRoute({
    ...common,
    method: 'put',
    path,
    params,
    summary: 'Write an object that belongs to the node',
    description:
      'Needs Content-Length, and X-MEMBRIDGE-SHA256 with the digest of the body in lower-case hex. A body that is cut off or has another ' +
      'digest is not stored. A primary that writes a mirror names its leadership epoch in X-MEMBRIDGE-LEADERSHIP-EPOCH.',
    bodyContent: 'application/octet-stream',
    status: 200,
    response: StoredObject,
    errors: {
      ...refusals,
      413: 'The body is larger than an object of this kind may be',
      429: 'The node has too many open transfers',
    },
    handle: async ({ caller: { node = '' }, req, res }, deps) =>
      await countRequest(deps, { node, method: 'PUT' }, async () => ({
        etag: await receiveObject({ node, req, res }, deps),
      })),
  }),
  defineRoute({
    ...common,
    method: 'delete',
    path,
    params,
    summary: 'Delete an object that belongs to the node',
    status: 204,
    errors: refusals,
    handle: async ({ caller: { node = '' }, req, res }, deps) =>
      await countRequest(deps, { node, method: 'DELETE' }, () => removeObject({ node, req, res }, deps)),
  }),
  defineRoute({
    ...common,
    method: 'get',
    path: STORE_LIST_PATH,
    summary: 'List the objects of one space, as a node',
    description: `At most ${STORE_PAGE_OBJECTS} in key order, starting with the first key after \`start_after\` on.`,
    query: z.strictObject({ prefix: z.string().max(1_024), start_after: z.string().max(1_024).default('') }),
    status: 200,
    response: StoredObjects,
    errors: refusals,
    handle: async ({ caller: { node = '' }, query }, deps) =>
      await countRequest(deps, { node, method: 'LIST' }, async () => {
        const { prefix, start_after: startAfter } = query;
        await allowList(node, { prefix, startAfter }, deps);
        return await deps.agentStore.objects.page(prefix, startAfter, STORE_PAGE_OBJECTS);
      }),
  }),
];
