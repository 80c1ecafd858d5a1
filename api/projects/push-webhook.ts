/** Push webhooks: a forge reports a push, and the clones on online nodes are updated. */
import { createHmac, type Hmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Request } from 'express';
import type { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import type { ManagedProject, PushAnswer, PushWebhook } from '../../contract/projects/projects.ts';
import { getPushSecret } from '../../db/queries/get-push-secret.ts';
import { updateProject } from '../../db/queries/update-project.ts';
import type { Deps } from '../deps.ts';
import { auditByCaller } from '../auth/actor.ts';
import { notFoundError } from '../http/not-found.ts';
import type { Caller } from '../http/route.ts';
import { seal, unseal } from '../auth/sealed.ts';
import { randomSecret, isSameSecret } from '../auth/secrets.ts';
import { acceptPropagation, requireManagedProject } from './requests.ts';

/** The largest body that GitHub sends, in bytes. */
const MAX_BYTES = 25 * 1024 * 1024;

/** How many clones are updated at the same time after a push. */
const MAX_CONCURRENT_UPDATES = 8;

const sealingContext = (projectId: string): string => `project:${projectId}:push-webhook`;

/** The headers in which forges send HMAC-SHA256 of the body, in hex: GitHub; Gitea, Forgejo and Gogs. */
const SIGNATURE_HEADERS = [
  'x-hub-signature-256',
  'x-gitea-signature',
  'x-forgejo-signature',
  'x-gogs-signature',
];
/** The header in which GitLab sends the secret itself. */
const TOKEN_HEADER = 'x-gitlab-token';
const EVENT_HEADERS = [
  'x-github-event',
  'x-gitea-event',
  'x-forgejo-event',
  'x-gogs-event',
  'x-gitlab-event',
];

/** Makes a new secret for a project's push webhook; the former one is no longer valid. @returns what is shown once */
export async function makePushWebhook(
  deps: Deps,
  project: ManagedProject,
  caller: Caller,
): Promise<z.infer<typeof PushWebhook>> {
  const secret = randomSecret();
  const made_at = deps.now();
  const push_secret = seal(deps.config.signingKey, secret, sealingContext(project.id));
  const change = { push_secret, push_secret_at: made_at };
  const by = auditByCaller(caller);
  if ((await updateProject(deps.db, { id: project.id, change, now: made_at, by })) === null)
    throw notFoundError('project', project.id);
  const path = `/api/runtime/projects/${project.id}/push`;
  const { publicUrl } = deps.config;
  return { path, url: publicUrl === null ? null : `${publicUrl}${path}`, secret, made_at };
}

/** Removes a project's push webhook: later calls of forges are refused. */
export async function removePushWebhook(deps: Deps, project: ManagedProject, caller: Caller): Promise<void> {
  const change = { push_secret: null, push_secret_at: null };
  await updateProject(deps.db, { id: project.id, change, now: deps.now(), by: auditByCaller(caller) });
}

/**
 * Handles a forge's call: checks that it knows the project's secret, and updates the clones.
 * @throws MembridgeError unauthorized, saying what is wrong with the signature; not_found when there is no such
 * project or it has no webhook; too_large; forbidden when the project's host is no longer allowed
 */
export async function takePush(
  deps: Deps,
  projectId: string,
  req: Request,
): Promise<z.infer<typeof PushAnswer>> {
  const sealed = await getPushSecret(deps.db, { id: projectId });
  if (sealed === null)
    throw new MembridgeError('not_found', 'There is no project with a push webhook at this address.');
  const secret = unseal(deps.config.signingKey, sealed, sealingContext(projectId));
  const why = await explainUnknownCall(req, secret);
  if (why !== null) throw new MembridgeError('unauthorized', why);
  const event = EVENT_HEADERS.map((name) => headerOf(req.headers, name)).find((given) => given !== null);
  if (event !== undefined && event !== null && !/push/i.test(event)) return { status: 'ignored' };
  const project = await requireManagedProject(deps, projectId);
  const asked = await acceptPropagation(deps, project, {
    action: 'update',
    nodes: null,
    concurrency: MAX_CONCURRENT_UPDATES,
  });
  return { status: asked === null ? 'ignored' : 'updating' };
}

/** Returns why a call does not come from the forge; null when it does. The body is read once, and not kept. */
async function explainUnknownCall(req: Request, secret: string): Promise<string | null> {
  const given = SIGNATURE_HEADERS.map((name) => headerOf(req.headers, name)).filter((each) => each !== null);
  const token = headerOf(req.headers, TOKEN_HEADER);
  if (given.length === 0 && token === null)
    return 'The call has no signature: set the secret of the push webhook at GitHub, GitLab, Gitea or Forgejo (X-Hub-Signature-256, X-Gitlab-Token, X-Gitea-Signature or X-Forgejo-Signature).';
  const hmac = await readBody(req, createHmac('sha256', secret));
  if (token !== null && isSameSecret(token, secret)) return null;
  const expected = hmac.digest('hex');
  const isOurs = given.map((each) => isSameSecret(each.replace(/^sha256=/, '').toLowerCase(), expected));
  return isOurs.includes(true)
    ? null
    : "The call is not signed with this project's secret. Make a new one in the project's settings, and enter it at the forge.";
}

async function readBody(req: Request, hmac: Hmac): Promise<Hmac> {
  let bytes = 0;
  for await (const piece of req as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new MembridgeError('too_large', 'The body has more than 25 MiB.');
    hmac.update(piece);
  }
  return hmac;
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | null {
  const given = headers[name];
  return typeof given === 'string' && given !== '' ? given : null;
}
