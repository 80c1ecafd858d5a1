import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';

/** A project that hooks or scripts of this machine registered with the agent (the original's agent_projects.json). */
const Registry = z.record(
  z.string(),
  z.object({
    project_id: z.string(),
    canonical_id: z.string(),
    created_at: z.number(),
    last_seen: z.number(),
    path: z.string().nullable(),
    notes: z.string().nullable(),
  }),
);
type Registry = z.infer<typeof Registry>;

/** Returns the path of the file that holds the registered projects. */
export const registryPath = (dataDir: string): string => join(dataDir, 'agent_projects.json');

function load(dataDir: string): Registry {
  const path = registryPath(dataDir);
  if (!existsSync(path)) return {};
  try {
    return Registry.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    // Overwriting the file would lose every project, so a person must look at it.
    throw new MembridgeError(
      'conflict',
      `${path} cannot be read (${errorMessage(cause)}). Repair it or move it away.`,
      {
        cause,
      },
    );
  }
}

/** Returns the projects registered on this machine. @throws MembridgeError conflict when the file is damaged */
export function readRegistry(dataDir: string): Registry[string][] {
  return Object.values(load(dataDir));
}

/** Registers a project; a registered one gets the new path and time. @throws MembridgeError conflict */
export function registerProject(
  dataDir: string,
  project: {
    project_id: string;
    canonical_id?: string | null | undefined;
    path?: string | null | undefined;
    notes?: string | null | undefined;
  },
): { ok: true; project_id: string; canonical_id: string; projects_count: number } {
  const registry = load(dataDir);
  const cid = project.canonical_id ?? canonicalId(project.project_id);
  const known = registry[cid];
  const now = Date.now();
  registry[cid] = {
    project_id: project.project_id,
    canonical_id: cid,
    created_at: known?.created_at ?? now,
    last_seen: now,
    path: project.path ?? known?.path ?? null,
    notes: project.notes ?? known?.notes ?? null,
  };
  const draft = `${registryPath(dataDir)}.new`;
  writeFileSync(draft, `${JSON.stringify(registry, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, registryPath(dataDir));
  const count = Object.keys(registry).length;
  return { ok: true, project_id: project.project_id, canonical_id: cid, projects_count: count };
}
