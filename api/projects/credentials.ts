import { badField, MembridgeError, errorMessage } from '../../contract/errors.ts';
import { originOf, parseGitUrl } from '../../contract/projects/git-url.ts';
import {
  PutCredential,
  type CredentialInfo,
  type ManagedProject,
  type NodeCredential,
} from '../../contract/projects/projects.ts';
import { getSealedCredential } from '../../db/queries/get-credential.ts';
import { updateProject } from '../../db/queries/update-project.ts';
import type { Deps } from '../deps.ts';
import { recordAudit, type NewAudit } from '../../db/queries/record-audit.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';
import { seal, unseal } from '../auth/sealed.ts';
import { sshKeyFingerprint } from './ssh-key.ts';

const sealingContext = (projectId: string): string => `project:${projectId}:credential`;

/**
 * Stores a project's credential, sealed.
 * @throws MembridgeError bad_request when it cannot fit the repository's address or is no key; not_found
 */
export async function putCredential(
  deps: Deps,
  project: ManagedProject,
  credential: PutCredential,
  caller: Caller,
): Promise<ManagedProject> {
  const { protocol } = parseGitUrl(project.repo_url);
  const wanted = protocol === 'ssh' ? 'ssh-key' : 'token';
  if (credential.kind !== wanted) {
    throw badField(
      'kind',
      `must be "${wanted}": ${project.repo_url} is reached by ${protocol}, which takes no ${credential.kind}`,
    );
  }
  if (protocol === 'http' && !isLoopback(project.repo_url)) {
    throw badField(
      'kind',
      `a token would cross the network in the clear: give the project an https:// address`,
    );
  }
  const change = {
    credential: seal(deps.config.signingKey, JSON.stringify(credential), sealingContext(project.id)),
    credential_info: infoOf(credential, deps.now()),
  };
  return await recordCredentialChange(deps, project, change, caller);
}

export async function removeCredential(
  deps: Deps,
  project: ManagedProject,
  caller: Caller,
): Promise<ManagedProject> {
  return await recordCredentialChange(deps, project, { credential: null, credential_info: null }, caller);
}

/**
 * Returns what a node needs to reach a project's repository. Only nodes that were asked to clone it receive it, over
 * their own authenticated connection; it enters no workflow.
 * @param input.repoUrl the address that the node is about to contact
 * @throws MembridgeError not_found when this node has no part in the project; conflict when the project has another
 * address now; internal when the seal does not open
 */
export async function issueCredential(
  deps: Deps,
  input: { projectId: string; node: string; repoUrl: string },
): Promise<NodeCredential> {
  const found = await getSealedCredential(deps.db, input);
  if (found === null) throw notFoundError('project', input.projectId);
  // A request that waited for its node may hold an earlier address. A secret goes only to the origin that it was set
  // for.
  if (originOf(input.repoUrl) !== originOf(found.repoUrl)) {
    throw new MembridgeError(
      'conflict',
      `The project's repository is now at ${originOf(found.repoUrl)}, not at ${originOf(input.repoUrl)}: clone it again.`,
    );
  }
  if (found.sealed === null) return { credential: null, known_hosts: found.knownHosts };
  await deps.db.run((sql) => recordAudit(sql, [credentialGivenEntry(input, deps.now())]));
  const text = unseal(deps.config.signingKey, found.sealed, sealingContext(input.projectId));
  return { credential: PutCredential.parse(JSON.parse(text)), known_hosts: found.knownHosts };
}

/**
 * Makes the audit entry for a credential that a node received. There is one a day for each node and project, because
 * a node asks before every fetch.
 */
function credentialGivenEntry(
  { projectId, node }: { projectId: string; node: string },
  now: number,
): NewAudit {
  const day = new Date(now).toISOString().slice(0, 10);
  return {
    eventKey: `credential_given:${projectId}:${node}:${day}`,
    action: 'credential_given',
    entity_type: 'managed_project',
    entity_id: projectId,
    actor: node,
    detail: `${node} got the project's git credential; this is its first time on ${day}`,
    cause: 'it fetches, clones or pushes',
    correlation_id: projectId,
    timestamp: now,
  };
}

async function recordCredentialChange(
  deps: Deps,
  project: ManagedProject,
  change: { credential: string | null; credential_info: CredentialInfo | null },
  caller: Caller,
): Promise<ManagedProject> {
  const ifAt = project.repo_url;
  const by = auditByCaller(caller);
  const updated = await updateProject(deps.db, { id: project.id, change, now: deps.now(), by, ifAt });
  if (updated === null) throw notFoundError('project', project.id);
  return updated;
}

function infoOf(credential: PutCredential, now: number): CredentialInfo {
  if (credential.kind === 'token') {
    const { token, username } = credential;
    // The last four characters tell tokens apart; for a short token they would reveal too much.
    return { kind: 'token', username, hint: token.length >= 16 ? `…${token.slice(-4)}` : '…', set_at: now };
  }
  try {
    return { kind: 'ssh-key', username: null, hint: sshKeyFingerprint(credential.private_key), set_at: now };
  } catch (error) {
    throw badField('private_key', errorMessage(error));
  }
}

function isLoopback(repoUrl: string): boolean {
  const { host } = parseGitUrl(repoUrl);
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
