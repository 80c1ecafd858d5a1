import type { ObjectStore } from '../../storage/object-store.ts';

/** Returns a store with some methods replaced; the others are the real one's. */
export function changedStore(real: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    put: (key, bytes) => real.put(key, bytes),
    get: (key) => real.get(key),
    list: (prefix, startAfter) => real.list(prefix, startAfter),
    remove: (key) => real.remove(key),
    takeTraffic: () => real.takeTraffic(),
    close: () => real.close(),
    ...changes,
  };
}
