// One measured node: an engine on a claude-mem database, in a separate process.
import { readFileSync } from 'node:fs';
import type { PullResult, PushResult, SpaceConfig } from '../../contract/memory/memory.ts';
import type { NodeCertificate, StoreAccess } from '../../contract/nodes/nodes.ts';
import { MemoryEngine, type SyncCall } from '../../memory/engine.ts';
import { type EngineOptions } from '../../memory/engine-options.ts';
import { loadSealingKey } from '../../memory/format/sealing.ts';
import { loadNodeKey } from '../../memory/format/signing.ts';
import type { ControlPlaneAccess } from '../../storage/control-plane-requests.ts';
import { openControlPlaneStore } from '../../storage/control-plane-store.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import { jobOf, serve } from './program.ts';

/** The options that start a node's process. */
export interface NodeJob extends Pick<EngineOptions, 'databasePath' | 'ledgerPath' | 'lockDirectory'> {
  readonly node: string;
  readonly privateKey: string;
  readonly sealingKey: string;
  readonly certificate: NodeCertificate;
  readonly controlPublicKey: string;
  readonly access: StoreAccess | ControlPlaneAccess;
  readonly space: SpaceConfig;
}

/** The elapsed milliseconds of a call, as the node's process sees them, and the processor time that the process used. */
export type Timed<T> = T & { readonly wallMs: number; readonly cpuMs: number };

/** A pull that may have ended before it was complete. */
export interface PartialPull {
  readonly wallMs: number;
  readonly complete: boolean;
}

/** The calls of a node. */
// oxlint-disable-next-line typescript/consistent-type-definitions
export type NodeCalls = {
  push(): Promise<Timed<PushResult>>;
  pull(full: boolean): Promise<Timed<PullResult>>;
  /** Pulls everything, for at most that many milliseconds. */
  pullFor(ms: number): Promise<PartialPull>;
  /** Looks for new rows, as an agent does ten times a second. */
  notice(): Promise<{ wallMs: number }>;
  /** Runs a full audit: compares every row with its state in the ledger. */
  audit(): Promise<Timed<{ rows: number }>>;
  /** Writes a snapshot of the space. */
  snapshot(): Promise<{ wallMs: number }>;
  /** Restores the present space as a new file, from the snapshot and later segments. */
  restore(path: string): Promise<Timed<object>>;
  /** Returns the most memory that the process ever had, in bytes. */
  peakMemory(): number;
};

const { node, privateKey, sealingKey, certificate, controlPublicKey, access, space, ...paths } =
  jobOf() as NodeJob;
const engine = new MemoryEngine({
  ...paths,
  identity: {
    node,
    key: loadNodeKey(privateKey),
    certificate,
    controlPublicKey,
    sealingKeys: [loadSealingKey(sealingKey)],
  },
  store: 'server' in access ? openControlPlaneStore(access) : openObjectStore(access),
});
const call: SyncCall = { signal: new AbortController().signal, progress: () => undefined };

async function timed<T extends object>(work: () => Promise<T>): Promise<Timed<T>> {
  const began = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { ...result, wallMs: performance.now() - began, cpuMs: (user + system) / 1_000 };
}

const calls: NodeCalls = {
  push: () => timed(() => engine.push(space, call)),
  pull: (full) => timed(() => engine.pull(space, full, call)),
  pullFor: async (ms) => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), ms);
    const began = performance.now();
    try {
      await engine.pull(space, true, { signal: controller.signal, progress: () => undefined });
      return { wallMs: performance.now() - began, complete: true };
    } catch (error) {
      if (!controller.signal.aborted) throw error;
      return { wallMs: performance.now() - began, complete: false };
    } finally {
      clearTimeout(timer);
    }
  },
  notice: () => timed(async () => ({ found: await engine.notice([space], call.signal) })),
  audit: () => timed(() => engine.audit(call, { deep: true })),
  snapshot: () => timed(() => engine.snapshot(space, call)),
  restore: (path) => timed(() => engine.restoreTo({ config: space, at: Date.now(), out: { path } }, call)),
  peakMemory: () => peakMemory(),
};

/** Returns the peak memory. Linux counts from the start of this program; other systems give their own figure. */
function peakMemory(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1_024;
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1_024;
}

serve(calls, () => engine.close());
