import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '../../demo/machines.ts';
import { errorMessage } from '../../contract/errors.ts';
import { call, type Api } from '../chaos/load.ts';
import type { GitServers } from '../git/servers.ts';

/** Pause between two memories that one of the machines writes, in milliseconds. */
const MEMORY_EVERY_MS = 400;
/** Pause between two projects that are propagated, in milliseconds. */
const PROJECT_EVERY_MS = 6_000;
/** Noise in each repository, in bytes, and the pause between two pieces of a pack: a clone takes seconds. */
const REPOSITORY_BYTES = 400_000;
const PIECE_EVERY_MS = 100;

/** Writes memories on the machines in turn, as claude-mem would. @returns how many were written */
export async function keepWriting(machines: readonly Machine[], until: number): Promise<number> {
  let n = 0;
  for (; Date.now() < until; n += 1) {
    const machine = machines[n % machines.length];
    machine?.writer.observation({
      memorySessionId: 'manual-garden',
      project: 'garden',
      type: 'discovery',
      title: `Seen during the upgrade (${n + 1})`,
      narrative: `Written on ${machine.id}.`,
      createdAt: Date.now(),
    });
    await sleep(MEMORY_EVERY_MS);
  }
  return n;
}

/** Makes projects and propagates each to all nodes; repeats a request without an answer. @returns the ids of the projects */
export async function keepPropagating(
  api: Api,
  servers: GitServers,
  input: { primary: string; until: number },
): Promise<string[]> {
  servers.open.trouble = { kind: 'slow', everyMs: PIECE_EVERY_MS };
  const ids: string[] = [];
  const asked: Promise<void>[] = [];
  for (let n = 0; Date.now() < input.until; n += 1) {
    const name = `upgrade-${n}`;
    servers.create(name, { bytes: REPOSITORY_BYTES });
    const repo_url = `${servers.open.url}/${name}.git`;
    const id = await untilAnswered(input.until, async () => {
      const known = await findProject(api, name);
      return (
        known ??
        String(
          (
            await call(api, 'POST', '/api/runtime/projects', {
              name,
              repo_url,
              primary_node_id: input.primary,
            })
          )['id'],
        )
      );
    });
    if (id !== undefined) {
      ids.push(id);
      asked.push(
        untilAnswered(input.until + 60_000, () =>
          call(api, 'POST', `/api/runtime/projects/${id}/propagate`),
        ).then(() => undefined),
      );
    }
    await sleep(PROJECT_EVERY_MS);
  }
  await Promise.all(asked);
  return ids;
}

/** Returns the project with a name, when a request without an answer made it. */
async function findProject(api: Api, name: string): Promise<string | undefined> {
  const projects = (await call(api, 'GET', '/api/runtime/projects')) as unknown as {
    id: string;
    name: string;
  }[];
  return projects.find((project) => project.name === name)?.id;
}

/** Repeats a request while the control plane is away. @returns undefined when time is up */
export async function untilAnswered<T>(until: number, ask: () => Promise<T>): Promise<T | undefined> {
  while (Date.now() < until) {
    try {
      return await ask();
    } catch (error) {
      // A refusal has a reason; being away has not.
      if (/: 4\d\d$/.test(errorMessage(error))) throw error;
      await sleep(250);
    }
  }
  return undefined;
}
