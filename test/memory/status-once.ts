// One pull and one status of a memory engine in a separate process, which may first give up root. Prints both
// results.
import Database from 'better-sqlite3';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { MemoryEngine } from '../../memory/engine.ts';
import { type EngineOptions } from '../../memory/engine-options.ts';
import type { NodeIdentity } from '../../memory/session.ts';
import { loadNodeKey } from '../../memory/format/signing.ts';
import { openObjectStore } from '../../storage/object-store.ts';

type Job = Omit<EngineOptions, 'store' | 'identity'> & {
  identity: Omit<NodeIdentity, 'key' | 'sealingKeys'> & { key: string };
  access: StoreAccess;
  space: SpaceConfig;
  /** The user to become. */
  uid: number | null;
};
const { identity, access, space, uid, ...paths } = JSON.parse(process.env['STATUS_JOB'] ?? '') as Job;
// SQLite's library must be loaded while this process may still read it.
new Database(':memory:').close();
if (uid !== null && process.setuid !== undefined && process.setgid !== undefined) {
  process.setgroups?.([]);
  process.setgid(uid);
  process.setuid(uid);
}
const engine = new MemoryEngine({
  ...paths,
  identity: { ...identity, key: loadNodeKey(identity.key), sealingKeys: [] },
  store: openObjectStore(access),
});
let pulled: unknown = 'nothing failed';
try {
  await engine.pull(space, true, { signal: new AbortController().signal, progress: () => undefined });
} catch (error) {
  const isNamed = error instanceof MembridgeError;
  pulled = isNamed ? { code: error.code, message: error.message } : { raw: String(error) };
}
process.stdout.write(JSON.stringify({ pulled, status: await engine.status() }));
await engine.close();
