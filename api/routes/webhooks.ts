import { WebhookSecret } from '../../contract/tasks/webhooks.ts';
import { byOf } from '../auth/actor.ts';
import { defineRoute } from '../http/route.ts';
import { readWebhookSecret, rotateWebhookSecret } from '../tasks/webhook-secret.ts';

const tag = 'Tasks';
const path = '/api/runtime/webhook-secret';
const sealed =
  'The secret cannot be opened: MEMBRIDGE_SIGNING_KEY is another one than when it was made. Make a new one';

export const webhookRoutes = [
  defineRoute({
    method: 'get',
    path,
    auth: 'people',
    tag,
    summary: 'The secret that webhooks are signed with',
    description:
      'A webhook carries Membridge-Signature: t=<epoch seconds>,v1=<hex>, where v1 is the HMAC-SHA256 of "<t>.<body>" under this secret.',
    status: 200,
    response: WebhookSecret,
    errors: { 409: sealed },
    handle: async (_call, deps) => await readWebhookSecret(deps),
  }),
  defineRoute({
    method: 'post',
    path,
    auth: 'people',
    tag,
    summary:
      'Make a new secret; what is sent from now on is signed with it, also further tries of what was sent before',
    status: 200,
    response: WebhookSecret,
    handle: async ({ caller }, deps) => await rotateWebhookSecret(deps, byOf(caller)),
  }),
];
