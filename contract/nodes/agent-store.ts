/** How an agent reads and writes objects through the control plane. */
import { z } from 'zod';

/** The path prefix of objects. The key follows as it is, never percent-encoded. */
export const STORE_OBJECTS_PATH = '/api/agent/store/objects/';
export const STORE_LIST_PATH = '/api/agent/store/list';

/** The request header of an upload that names the SHA-256 of its body, in lower-case hex. */
export const SHA256_HEADER = 'X-MEMBRIDGE-SHA256';
/** The request header by which a primary names the leadership epoch that it acts in. */
export const LEADERSHIP_EPOCH_HEADER = 'X-MEMBRIDGE-LEADERSHIP-EPOCH';

/** The response header which says that there is no such object. Other 404 answers do not carry it. */
export const NO_OBJECT_HEADER = 'X-MEMBRIDGE-NO-OBJECT';

/** The key with which an agent checks whether the store answers. Nothing is stored under it. */
export const STORE_PROBE_KEY = 'membridge-health/probe';

/** The most objects on one page, as in S3. */
export const STORE_PAGE_OBJECTS = 1_000;

/** One page of a list, in key order. With `more`, ask again from the last key. */
export const StoredObjects = z.strictObject({
  objects: z.array(
    z.strictObject({
      key: z.string(),
      size: z.number().int().nonnegative(),
      etag: z.string(),
      /** When the store received it, by the store's clock, epoch ms. */
      modified: z.number().int(),
    }),
  ),
  more: z.boolean(),
});
export type StoredObjects = z.infer<typeof StoredObjects>;

/** The answer to an upload: the store's ETag, without quotes. */
export const StoredObject = z.strictObject({ etag: z.string() });
