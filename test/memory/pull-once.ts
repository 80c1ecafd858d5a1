// One pull in a separate process, which a test kills. Its job comes in PULL_JOB; it prints "began" when the first
// rows are inserted.
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { MemoryEngine } from '../../memory/engine.ts';
import { type EngineOptions } from '../../memory/engine-options.ts';
import { loadNodeKey } from '../../memory/format/signing.ts';
import type { NodeIdentity } from '../../memory/session.ts';
import { openObjectStore } from '../../storage/object-store.ts';

type Job = Omit<EngineOptions, 'store' | 'identity'> & {
  identity: Omit<NodeIdentity, 'key' | 'sealingKeys'> & { key: string };
  access: StoreAccess;
  space: SpaceConfig;
};
const { identity, access, space, ...paths } = JSON.parse(process.env['PULL_JOB'] ?? '') as Job;
const engine = new MemoryEngine({
  ...paths,
  identity: { ...identity, key: loadNodeKey(identity.key), sealingKeys: [] },
  store: openObjectStore(access),
});
const progress = (text: string): void => void process.stdout.write(`began ${text}\n`);
await engine.pull(space, false, { signal: new AbortController().signal, progress });
await engine.close();
