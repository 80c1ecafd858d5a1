import { join } from 'node:path';
import { openObjectStore, type ObjectStore } from '../../storage/object-store.ts';
import { newFleet, type TestFleet, type TestNode } from './nodes.ts';
import { originalMachine, type OriginalMachine } from './original.ts';

/** A fleet whose store also serves a machine with the original's scripts. */
export interface LegacyFleet {
  readonly fleet: TestFleet;
  readonly store: ObjectStore;
  /** A node of the fleet, with claude-mem 13.25.3. */
  readonly a: TestNode;
  /** The machine with the original's scripts, with the same claude-mem. */
  readonly old: OriginalMachine;
  close(): Promise<void>;
}

/** Makes such a fleet for one test. */
export async function newLegacyFleet(): Promise<LegacyFleet> {
  const fleet = await newFleet();
  const store = openObjectStore(fleet.access);
  const folder = join(fleet.folder, 'originals');
  const { projectId: project } = fleet.space;
  const old = originalMachine(folder, { host: 'old-laptop', release: '13.25.3', project, store });
  return {
    fleet,
    store,
    a: fleet.add('a', '13.25.3'),
    old,
    close: async () => {
      old.close();
      store.close();
      await fleet.close();
    },
  };
}
