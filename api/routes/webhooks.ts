import { WebhookSecret } from '../../contract/tasks/webhooks.ts';
import { auditByCaller } from '../auth/actor.ts';
import { defineRoute } from '../http/route.ts';
import { readWebhookSecret, rotateWebhookSecret } from '../tasks/webhook-secret.ts';

const tag = 'Tasks';
const path = '/api/runtime/webhook-secret';
const sealed = 'The secret cannot be opened: it was made under another MEMBRIDGE_SIGNING_KEY. Make a new one';

export const webhookRoutes = [
  defineRoute({
    method: 'get',
    path,
    auth: 'people',
    tag,
    summary: 'Get the secret that signs webhooks',
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
    summary: 'Make a new secret; it signs everything sent from now on, repeated tries included',
    status: 200,
    response: WebhookSecret,
    handle: async ({ caller }, deps) => await rotateWebhookSecret(deps, auditByCaller(caller)),
  }),
];
