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
/** Express takes the key apart at its slashes. Handlers go by the path as it came. */
const params = z.strictObject({
  key: z.preprocess((parts) => (Array.isArray(parts) ? parts.join('/') : parts), z.string()),
});
const refusals = {
  400: 'The key is none that a node can ask for',
  403: 'The node may not do this with this object; the answer says why',
};
/** Agents are known, and each has a limit of transfers at once. */
const common = { auth: 'node', tag, unlimited: true } as const;

/** Objects of the store, as nodes read and write them. The rule is in api/store/may-touch.ts. */
export const agentStoreRoutes = [
  defineRoute({
    ...common,
    method: 'get',
    path,
    params,
    summary: 'A node reads an object of the store',
    description:
      'HEAD answers with its size and ETag alone. The key stands in the path as it is, without percent-encoding.',
    status: 200,
    content: 'application/octet-stream',
    errors: { ...refusals, 404: 'There is no such object', 429: 'The node has too many transfers open' },
    handle: async ({ caller: { node = '' }, req, res }, deps) =>
      await countRequest(deps, { node, method: req.method }, () => sendObject({ node, req, res }, deps)),
  }),
  defineRoute({
    ...common,
    method: 'put',
    path,
    params,
    summary: 'A node writes an object of its own',
    description:
      'Needs Content-Length, and X-MEMBRIDGE-SHA256 with the digest of the body in lower-case hex. Nothing is stored of a body that is cut off ' +
      'or has another digest. A primary that writes a mirror names its epoch in X-MEMBRIDGE-LEADERSHIP-EPOCH.',
    bodyContent: 'application/octet-stream',
    status: 200,
    response: StoredObject,
    errors: {
      ...refusals,
      413: 'The body is larger than an object of this kind may be',
      429: 'The node has too many transfers open',
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
    summary: 'A node deletes an object of its own',
    status: 204,
    errors: refusals,
    handle: async ({ caller: { node = '' }, req, res }, deps) =>
      await countRequest(deps, { node, method: 'DELETE' }, () => removeObject({ node, req, res }, deps)),
  }),
  defineRoute({
    ...common,
    method: 'get',
    path: STORE_LIST_PATH,
    summary: 'A node lists objects of one space',
    description: `At most ${STORE_PAGE_OBJECTS} in key order, from the first key after \`start_after\` on.`,
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
