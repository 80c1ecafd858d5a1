import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { EnrolResponse } from '../../contract/nodes/nodes.ts';
import type { EngineOptions } from '../../memory/engine-options.ts';
import { MemoryEngine } from '../../memory/engine.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';
import { generateNodeKey, type NodeKey } from '../../memory/format/signing.ts';
import { openControlPlaneStore } from '../../storage/control-plane-store.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../support/control-plane.ts';
import { newFleet, type TestFleet } from '../memory/nodes.ts';
import { serverAt } from '../../transport/server.ts';

/** Fleets whose machines reach objects through one control plane. */
export interface StoreFleets {
  readonly test: TestPlane;
  /** Makes a fleet in a new space of the control plane; its machines have the enrolled names. */
  newFleet(): Promise<TestFleet>;
  /** Returns a machine's key for the control plane. */
  agentKey(name: string): string;
  stop(): Promise<void>;
}

/** Starts a control plane and enrols machines of these names. */
export async function startStoreFleets(names: readonly string[]): Promise<StoreFleets> {
  const test = await startTestPlane();
  const enrolled = new Map<string, { key: NodeKey; enrolment: EnrolResponse }>();
  for (const name of names) {
    const { key } = generateNodeKey();
    enrolled.set(name, { key, enrolment: await enrolNode(test, name, true, key.publicKey) });
  }
  let fleets = 0;

  const find = (name: string): { key: NodeKey; enrolment: EnrolResponse } => {
    const found = enrolled.get(name);
    if (found === undefined) throw new Error(`${name} was not enrolled`);
    return found;
  };
  const optionsOf = (name: string): Pick<EngineOptions, 'identity' | 'store'> => {
    const found = find(name);
    const { certificate, control_public_key: controlPublicKey, agent_key: agentKey } = found.enrolment;
    const sealingKeys = [generateSealingKey().key];
    return {
      identity: { node: name, key: found.key, certificate, controlPublicKey, sealingKeys },
      store: openControlPlaneStore({ server: serverAt(test.plane.url), agent_key: agentKey }),
    };
  };

  return {
    test,
    newFleet: async () => {
      fleets += 1;
      const projectId = `fleet-${fleets}`;
      await test.call('POST', '/api/membridge/spaces', { body: { name: projectId, projects: ['*'] } });
      const base = await newFleet();
      return {
        ...base,
        access: test.plane.deps.config.store,
        space: { cid: canonicalId(projectId), projectId, projects: ['*'] },
        add: (name, release, overrides = {}) => base.add(name, release, { ...optionsOf(name), ...overrides }),
        reopen: (node, overrides) =>
          new MemoryEngine({ ...node.options, store: optionsOf(node.name).store, ...overrides }),
      };
    },
    agentKey: (name) => find(name).enrolment.agent_key,
    stop: () => test.stop(),
  };
}
