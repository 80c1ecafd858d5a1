// One agent of the soak, which is killed: it writes as claude-mem does and syncs repeatedly. Its job comes in
// SOAK_JOB. It prints every committed row on stdout before it writes the next one: "wrote <kind> <token>".
import Database from 'better-sqlite3';
import type { SpaceConfig } from '../../../contract/memory/memory.ts';
import type { StoreAccess } from '../../../contract/nodes/nodes.ts';
import { MemoryWriter } from '../../../fixtures/claude-mem/write.ts';
import { MemoryEngine } from '../../../memory/engine.ts';
import { type EngineOptions } from '../../../memory/engine-options.ts';
import type { NodeIdentity } from '../../../memory/session.ts';
import { loadNodeKey } from '../../../memory/format/signing.ts';
import { openObjectStore } from '../../../storage/object-store.ts';

/** The job of an agent. */
export type SoakJob = Omit<EngineOptions, 'store' | 'identity'> & {
  readonly identity: Omit<NodeIdentity, 'key' | 'sealingKeys'> & { readonly key: string };
  readonly access: StoreAccess;
  readonly space: SpaceConfig;
  /** The number of this agent's life: no two lives write the same. */
  readonly life: number;
};

const { identity, access, space, life, ...paths } = JSON.parse(process.env['SOAK_JOB'] ?? '') as SoakJob;
const engine = new MemoryEngine({
  ...paths,
  identity: { ...identity, key: loadNodeKey(identity.key), sealingKeys: [] },
  store: openObjectStore(access),
});
const call = { signal: new AbortController().signal, progress: () => undefined };

const db = new Database(paths.databasePath, { timeout: 5_000 });
db.pragma('foreign_keys = ON');
const writer = new MemoryWriter(db);
const name = `${identity.node}-${life}`;
let written = 0;

function write(): void {
  const createdAt = Date.now();
  const session = { contentSessionId: name, memorySessionId: `mem-${name}`, project: 'garden' };
  const token = `${name}-${written}`;
  if (written === 0) writer.session({ ...session, startedAt: createdAt });
  else if (written % 3 === 0)
    writer.prompt({ contentSessionId: name, number: written, text: token, createdAt });
  else writer.observation({ ...session, title: token, narrative: token, createdAt });
  process.stdout.write(`wrote ${token}\n`);
  written += 1;
}

const writing = setInterval(write, 7);
for (;;) {
  await engine.push(space, call).catch(reportError);
  await engine.pull(space, written % 5 === 0, call).catch(reportError);
}

function reportError(error: unknown): void {
  process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
  if (written < 0) clearInterval(writing);
}
