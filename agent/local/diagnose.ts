import { hostname } from 'node:os';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { Agent } from '../agent.ts';
import { examine } from '../doctor/doctor.ts';

/**
 * Examines this node, and answers as the original's `/doctor`.
 * @param project the project that the caller names, as each of the original's callers does; a dry run then gives its
 * short answer
 * @param signal ends the longer checks early
 */
export async function diagnose(
  agent: Agent,
  project: string | undefined,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  const { dryrun } = agent.config;
  const name = project ?? agent.spaces()[0]?.projectId ?? '';
  const about = {
    action: 'doctor',
    project: name,
    canonical_id: canonicalId(name),
    hostname: hostname(),
    dryrun,
  };
  if (dryrun && project !== undefined) {
    const detail = `[DRYRUN] Would examine this node for ${project}`;
    return { ok: true, ...about, detail, stdout: null, stderr: null, returncode: null };
  }
  const checks = await examine(agent, signal);
  const failed = checks.filter((check) => !check.ok);
  const line = ({ name: what, ok, detail }: (typeof checks)[number]): string =>
    `${ok ? 'ok' : 'FAILED'} ${what}: ${detail}`;
  return {
    ok: failed.length === 0,
    ...about,
    detail: failed.length === 0 ? `all ${checks.length} checks are ok` : failed.map(line).join('; '),
    stdout: checks.map(line).join('\n'),
    stderr: failed.map(line).join('\n'),
    returncode: failed.length === 0 ? 0 : 1,
    checks,
  };
}
