import { z } from 'zod';
import { PushAnswer, PushWebhook } from '../../contract/projects/projects.ts';
import { makePushWebhook, removePushWebhook, takePush } from '../projects/push-webhook.ts';
import { requireManagedProject } from '../projects/requests.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Projects';
const path = '/api/runtime/projects/:id/push-webhook';
const ProjectId = z.strictObject({ id: z.string() });
const missing = { 404: 'There is no such project' } as const;

export const pushWebhookRoutes = [
  defineRoute({
    method: 'post',
    path,
    auth: 'people',
    tag,
    summary: 'Make a push webhook, or a new secret for it; the secret is shown only this once',
    params: ProjectId,
    status: 201,
    response: PushWebhook,
    errors: missing,
    handle: async ({ params, caller }, deps) =>
      await makePushWebhook(deps, await requireManagedProject(deps, params.id), caller),
  }),
  defineRoute({
    method: 'delete',
    path,
    auth: 'people',
    tag,
    summary: 'Remove the push webhook',
    params: ProjectId,
    status: 204,
    errors: missing,
    handle: async ({ params, caller }, deps) => {
      await removePushWebhook(deps, await requireManagedProject(deps, params.id), caller);
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects/:id/push',
    auth: 'none',
    tag,
    summary: 'Report a push from GitHub, GitLab, Gitea or Forgejo, so that the clones follow',
    description:
      'Signed with the secret of the push webhook: X-Hub-Signature-256, X-Gitea-Signature or X-Forgejo-Signature (HMAC-SHA256 of the body), or X-Gitlab-Token (the secret itself). Clones on online nodes are updated; local work is never lost. At most 60 calls a minute from one address.',
    params: ProjectId,
    status: 202,
    response: PushAnswer,
    perMinute: 60,
    errors: {
      401: 'The call is not signed with the secret',
      404: 'There is no push webhook at this address',
    },
    handle: async ({ params, req }, deps) => await takePush(deps, params.id, req),
  }),
];
