import type { ObjectStore } from '../../storage/object-store.ts';

/** A store with some of its methods replaced; the others are the real one's. */
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
