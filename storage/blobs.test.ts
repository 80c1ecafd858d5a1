import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newBucket } from '../test/memory/nodes.ts';
import { blobKey, getBlob, putBlob } from './blobs.ts';
import { openObjectStore, type ObjectStore } from './object-store.ts';

describe('bytes stored by their hash', () => {
  let store: ObjectStore;

  beforeAll(async () => {
    store = openObjectStore(await newBucket());
  });

  afterAll(() => store.close());

  it('are returned unchanged, and stored once for any number of calls', async () => {
    const bytes = randomBytes(100_000);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const blob = await putBlob(store, bytes);
    expect(blob).toEqual({ sha256, bytes: 100_000 });
    expect(await putBlob(store, bytes)).toEqual(blob);
    expect((await getBlob(store, blob)).equals(bytes)).toBe(true);
    expect((await store.list('blobs/')).map(({ key }) => key)).toEqual([
      `blobs/${sha256.slice(0, 2)}/${sha256}`,
    ]);
  });

  it('are refused when they were removed or replaced', async () => {
    const blob = await putBlob(store, Buffer.from('as it was'));
    await store.put(blobKey(blob.sha256), Buffer.from('as it is.'));
    await expect(getBlob(store, blob)).rejects.toMatchObject({ code: 'store_unavailable' });
    await store.remove(blobKey(blob.sha256));
    await expect(getBlob(store, blob)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('may be empty', async () => {
    const blob = await putBlob(store, Buffer.alloc(0));
    expect(blob.bytes).toBe(0);
    expect((await getBlob(store, blob)).length).toBe(0);
  });
});
