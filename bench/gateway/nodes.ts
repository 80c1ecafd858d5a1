import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { enrol } from '../../agent/control-plane/control-plane.ts';
import { RESOURCE_LIMITS } from '../../agent/memory/memory-host.ts';
import { readFacts } from '../../agent/node-facts.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { generateSealingKey } from '../../memory/format/sealing.ts';
import { generateNodeKey } from '../../memory/format/signing.ts';
import { NO_TASKS } from '../no-tasks.ts';
import { RELEASE } from '../memory/fleet.ts';
import type { NodeCalls, NodeJob } from '../memory/node-process.ts';
import { startProgram, type Program } from '../memory/program.ts';
import { serverAt } from '../../transport/server.ts';
import type { Running } from '../running.ts';
import type { Ways } from './goals.ts';

const HEAP = [`--max-old-space-size=${RESOURCE_LIMITS.maxOldGenerationSizeMb}`];

/** An enrolled node, and the process with its engine. */
export interface EnrolledNode {
  readonly id: string;
  readonly agentKey: string;
  readonly path: string;
  readonly running: Program<NodeCalls>;
}

/** Enrols nodes whose engines reach objects in one of two ways, in one space. */
export class EnrolledNodes {
  readonly #running: Running;
  readonly #folder: string;
  readonly #space: SpaceConfig;
  readonly #started: EnrolledNode[] = [];

  constructor(running: Running, folder: string, space: SpaceConfig) {
    this.#running = running;
    this.#folder = folder;
    this.#space = space;
  }

  /** @param from a database to begin with; by default an empty one */
  async add(id: string, way: keyof Ways<unknown>, from?: string): Promise<EnrolledNode> {
    const { api, control, stack } = this.#running;
    const path = join(this.#folder, id, 'claude-mem.db');
    mkdirSync(dirname(path), { recursive: true });
    if (from === undefined) buildDatabase(path, RELEASE).close();
    else copyFileSync(from, path);
    const { key, pem } = generateNodeKey();
    const enrolled = await enrol(serverAt(api.url), {
      token: await control.enrolmentToken(id),
      node_id: id,
      public_key: key.publicKey,
      facts: readFacts({ url: '', dryrun: false, tasks: NO_TASKS }),
    });
    const job: NodeJob = {
      node: id,
      databasePath: path,
      ledgerPath: join(this.#folder, id, 'ledger.db'),
      lockDirectory: join(this.#folder, 'locks'),
      privateKey: pem,
      sealingKey: generateSealingKey().pem,
      certificate: enrolled.certificate,
      controlPublicKey: enrolled.control_public_key,
      access:
        way === 'through'
          ? { server: serverAt(api.url), agent_key: enrolled.agent_key }
          : {
              endpoint: stack.minio.endpoint,
              region: 'us-east-1',
              bucket: 'claude-memory',
              access_key: stack.minio.accessKey,
              secret_key: stack.minio.secretKey,
            },
      space: this.#space,
    };
    const node = {
      id,
      agentKey: enrolled.agent_key,
      path,
      running: startProgram<NodeCalls>('node-process.ts', job, HEAP),
    };
    this.#started.push(node);
    return node;
  }

  async stop(): Promise<void> {
    for (const { running } of this.#started.splice(0)) await running.stop();
  }
}
