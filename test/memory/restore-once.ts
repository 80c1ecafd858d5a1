// One restore in place, in a separate process that kills itself at its nth step. Its job comes in RESTORE_JOB.
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';
import { MemoryEngine } from '../../memory/engine.ts';
import { type EngineOptions } from '../../memory/engine-options.ts';
import type { NodeIdentity } from '../../memory/session.ts';
import { loadNodeKey } from '../../memory/format/signing.ts';
import { openObjectStore } from '../../storage/object-store.ts';

type Job = Omit<EngineOptions, 'store' | 'identity' | 'now'> & {
  identity: Omit<NodeIdentity, 'key' | 'sealingKeys'> & { key: string };
  access: StoreAccess;
  space: SpaceConfig;
  /** The target time, the present time, and the step at which to die. */
  at: number;
  now: number;
  killAt: number;
};
const { identity, access, space, at, now, killAt, ...paths } = JSON.parse(
  process.env['RESTORE_JOB'] ?? '',
) as Job;
const engine = new MemoryEngine({
  ...paths,
  identity: { ...identity, key: loadNodeKey(identity.key), sealingKeys: [] },
  store: openObjectStore(access),
  now: () => now,
});
let steps = 0;
const progress = (): void => {
  steps += 1;
  if (steps === killAt) process.kill(process.pid, 'SIGKILL');
};
await engine.restoreTo(
  { config: space, at, out: 'in place' },
  { signal: new AbortController().signal, progress },
);
await engine.close();
