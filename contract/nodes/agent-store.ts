/** How an agent reads and writes objects through the control plane. */
import { z } from 'zod';

/** The object of a key lies below this path; the key follows as it is, never percent-encoded. */
export const STORE_OBJECTS_PATH = '/api/agent/store/objects/';
export const STORE_LIST_PATH = '/api/agent/store/list';

/** The request header of an upload that names the SHA-256 of its body, in lower-case hex. */
export const SHA256_HEADER = 'X-MEMBRIDGE-SHA256';
/** The request header by which a primary names the leadership epoch that it acts in. */
export const LEADERSHIP_EPOCH_HEADER = 'X-MEMBRIDGE-LEADERSHIP-EPOCH';

/** The header of the answer that says that there is no such object. Other answers of 404 do not carry it. */
export const NO_OBJECT_HEADER = 'X-MEMBRIDGE-NO-OBJECT';

/** The key by which an agent sees whether the store answers. Nothing is stored under it. */
export const STORE_PROBE_KEY = 'membridge-health/probe';

/** Objects of one page at most, as in S3. */
export const STORE_PAGE_OBJECTS = 1_000;

/** One page of a list: objects in key order. `more`: ask again, from the last key on. */
export const StoredObjects = z.strictObject({
  objects: z.array(
    z.strictObject({
      key: z.string(),
      size: z.number().int().nonnegative(),
      etag: z.string(),
      /** When the store took it, by the store's clock, epoch ms. */
      modified: z.number().int(),
    }),
  ),
  more: z.boolean(),
});
export type StoredObjects = z.infer<typeof StoredObjects>;

/** The answer to an upload: the ETag that the store gave it, without quotes. */
export const StoredObject = z.strictObject({ etag: z.string() });
