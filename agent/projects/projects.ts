/** Managed projects as the agent serves them: through activities, and on the original's loopback paths. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ProposalActivityOptions } from '../../activities/node/proposals.ts';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { RepoUrl } from '../../contract/projects/git-url.ts';
import {
  BranchName,
  ManagedProjectName,
  TargetPath,
  type NodeCredential,
  type CloneSpec,
} from '../../contract/projects/projects.ts';
import { sweepAccess } from '../../git/access.ts';
import { cloneRepository } from '../../git/clone.ts';
import { NO_CREDENTIAL } from '../../git/context.ts';
import { sweepPartials } from '../../git/partials.ts';
import { listRepositories } from '../../git/repositories.ts';
import { getBlob } from '../../storage/blobs.ts';
import { registerProject } from './registry.ts';
import type { Server } from '../../transport/server.ts';
import { openRoutedStore } from '../../storage/store-route.ts';
import type { AgentConfig } from '../config.ts';
import { ControlPlaneError, askCredential } from '../control-plane/control-plane.ts';
import { serverOf } from '../control-plane/server.ts';
import type { AgentState } from '../control-plane/state.ts';
import { chooseStoreRoute } from '../control-plane/store-route.ts';

/** A clone over HTTP may take this long, in milliseconds (the original's limit). */
const CLONE_MS = 300_000;

/** The original's body of `POST /clone`. */
export const CloneBody = z.strictObject({
  repo_url: RepoUrl,
  project_name: ManagedProjectName,
  target_path: TargetPath.nullish(),
  branch: BranchName.nullish(),
});

/** The folder for key files while git runs. */
const workDir = (config: AgentConfig): string => join(config.dataDir, 'git');

/** Returns what the activities of projects and their proposals need on this node. */
export function projectOptions(config: AgentConfig, state: AgentState): ProposalActivityOptions {
  const { node_id: node, agent_key: agentKey } = state.enrolment;
  const server = serverOf(config, state);
  return {
    reposBase: config.reposBase,
    workDir: workDir(config),
    node,
    dryrun: config.dryrun,
    credentialOf: async (spec) => await credentialOf(server, agentKey, spec),
    contentOf: async (blob) => {
      const store = openRoutedStore(chooseStoreRoute(config, state));
      try {
        return await getBlob(store, blob);
      } finally {
        store.close();
      }
    },
  };
}

/** Removes half clones and key files that a killed agent left. A failure is only logged. */
export async function sweepProjects(config: AgentConfig, log: Logger): Promise<void> {
  try {
    await sweepAccess(workDir(config));
    await sweepPartials(config.reposBase);
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, 'leftovers of clones from an earlier run could not be removed');
  }
}

/**
 * Serves the original's `POST /clone`: clones, or updates the clone that is there, with the git credentials of this
 * machine's user.
 * @throws MembridgeError with the status that the original had: 400, 409, 504 and others
 */
export async function cloneByHttp(
  config: AgentConfig,
  body: z.infer<typeof CloneBody>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const { repo_url: repoUrl, project_name: name, target_path: targetPath, branch } = body;
  if (config.dryrun) {
    return { ok: true, dryrun: true, detail: `[DRYRUN] Would clone ${repoUrl} as ${name}` };
  }
  const options = { branch: branch ?? null, depth: null, submodules: false };
  const result = await cloneRepository(
    { projectId: name, name, repoUrl, targetPath: targetPath ?? null, options, hasCredential: false },
    {
      reposBase: config.reposBase,
      workDir: workDir(config),
      credential: NO_CREDENTIAL,
      signal,
      progress: () => undefined,
      timeoutMs: CLONE_MS,
    },
  );
  registerProject(config.dataDir, { project_id: name, path: result.path });
  return {
    ok: true,
    action: result.outcome === 'cloned' ? 'clone' : 'pull',
    path: result.path,
    project_name: name,
    stdout: result.detail,
    stderr: '',
    detail: result.detail,
    result,
  };
}

/** Serves the original's `GET /repos`. */
export async function reposByHttp(
  config: AgentConfig,
): Promise<Awaited<ReturnType<typeof listRepositories>>> {
  return await listRepositories(config.reposBase);
}

/**
 * Asks for the project's credential. The workflow retries when the control plane does not answer, and not when it
 * refuses.
 */
async function credentialOf(
  server: Server,
  agentKey: string,
  spec: Pick<CloneSpec, 'projectId' | 'repoUrl'>,
): Promise<NodeCredential> {
  try {
    return await askCredential(server, agentKey, spec);
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error;
    const code =
      ({ 403: 'forbidden', 404: 'not_found', 409: 'conflict' } as const)[error.status] ?? 'internal';
    throw new MembridgeError(code, `The project's credential was not given. ${error.message}`, {
      cause: error,
    });
  }
}
