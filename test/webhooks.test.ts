import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendWebhook } from '../activities/control/send-webhook.ts';
import { isPublicAddress, explainRefusedWebhook } from '../activities/control/webhook-address.ts';
import { llmTaskId, webhookId } from '../contract/names.ts';
import { startDelivery } from '../engine/webhook-workflows.ts';
import { startTestPlane, type Answer, type TestPlane } from './support/control-plane.ts';
import { startWebhookReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';

const SOON = { timeout: 20_000, interval: 50 };
/** A terminated workflow is noticed after 10 to 15 s. */
const NOTICED = { timeout: 40_000, interval: 200 };

let test: TestPlane;
let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await startWebhookReceiver();
  test = await startTestPlane({ env: { MEMBRIDGE_WEBHOOK_HOSTS: '127.0.0.1, *.example.org' } });
});
afterAll(async () => {
  await test.stop();
  await receiver.stop();
});

const tasks = '/api/runtime/llm-tasks';
const create = (body: Record<string, unknown>): Promise<Answer> =>
  test.call('POST', tasks, { body: { prompt: 'a secret prompt', ...body } });
async function make(path: string, body: Record<string, unknown> = {}): Promise<string> {
  const answer = await create({ webhook_url: `${receiver.url}${path}`, ...body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return String(answer.body['id']);
}
const post = (id: string, what: string, body: unknown = {}): Promise<Answer> =>
  test.call('POST', `${tasks}/${id}/${what}`, { body });
async function complete(id: string, body: object): Promise<Answer['body']> {
  await post(id, 'lease', { worker_id: 'by-hand' });
  const answer = await post(id, 'complete', body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}
const audit = async (entity: string, action: string): Promise<Record<string, unknown>[]> => {
  const { rows } = await test.plane.deps.db.pool.query<Record<string, unknown>>(
    'select actor, detail, cause from audit_logs where entity_id = $1 and action = $2 order by id',
    [entity, action],
  );
  return rows;
};
const secret = async (): Promise<string> =>
  String((await test.call('GET', '/api/runtime/webhook-secret')).body['secret']);

/** Returns the only POST to a path. */
function only(path: string): ReturnType<WebhookReceiver['received']>[number] {
  const [first, ...others] = receiver.received(path);
  if (first === undefined || others.length > 0)
    throw new Error(`${others.length + 1} or none came to ${path}`);
  return first;
}

/** Returns whether a signature is valid under a secret, as a receiver checks it. */
function isSigned(header: unknown, body: string, key: string): boolean {
  const [, at = '', mac = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(header)) ?? [];
  if (Math.abs(Date.now() / 1_000 - Number(at)) > 60) return false;
  return createHmac('sha256', key).update(`${at}.${body}`).digest('hex') === mac;
}

describe('the webhook of a task', () => {
  it('is called once when the task has completed, signed, with neither prompt nor output', async () => {
    const id = await make('/done');
    const done = await complete(id, { status: 'success', output: 'a secret output' });
    await expect.poll(() => receiver.received('/done'), SOON).toHaveLength(1);
    const { headers, body } = only('/done');
    const task = done['task'] as Record<string, unknown>;
    const told = JSON.parse(body) as Record<string, unknown>;
    expect(told).toEqual({
      type: 'task.completed',
      id: headers['membridge-delivery'],
      created_at: task['finished_at'],
      task: {
        id,
        status: 'completed',
        context_id: task['context_id'],
        agent_slug: 'default',
        project_id: null,
        attempts: 1,
        worker_id: 'by-hand',
        error_code: null,
        error_message: null,
        artifact_id: (done['artifact'] as Record<string, unknown>)['id'],
        created_at: task['created_at'],
        finished_at: task['finished_at'],
      },
    });
    expect(headers['content-type']).toBe('application/json');
    expect(isSigned(headers['membridge-signature'], body, await secret())).toBe(true);
    expect(isSigned(headers['membridge-signature'], `${body} `, await secret())).toBe(false);
    await expect
      .poll(() => audit(id, 'webhook_delivered'), SOON)
      .toEqual([
        {
          actor: 'engine',
          detail: `127.0.0.1:${receiver.port} answered 204`,
          cause: `the task ended; delivery ${String(told['id'])}`,
        },
      ]);
  });

  it('is called for every end: failed, dead, cancelled, and again after a requeue', async () => {
    const failed = await make('/failed');
    await complete(failed, { status: 'error', error_message: 'no luck', retryable: false });
    await post(failed, 'requeue');
    await post(failed, 'cancel');
    const dead = await make('/dead', { max_attempts: 1 });
    await complete(dead, { status: 'error', error_message: 'no luck', retryable: true });
    const told = (path: string) =>
      receiver
        .received(path)
        .map(({ body }) => JSON.parse(body) as { type: string; id: string; task: Record<string, unknown> });
    await expect
      .poll(
        () =>
          told('/failed')
            .map(({ type }) => type)
            .toSorted(),
        SOON,
      )
      .toEqual(['task.cancelled', 'task.failed']);
    expect(new Set(told('/failed').map(({ id }) => id)).size).toBe(2);
    const first = told('/failed').find(({ type }) => type === 'task.failed');
    expect(first?.task).toMatchObject({
      status: 'failed',
      attempts: 1,
      error_code: 'worker_error',
      error_message: 'no luck',
      artifact_id: null,
    });
    await expect.poll(() => told('/dead').map(({ type }) => type), SOON).toEqual(['task.dead']);
  });

  it('is called for a task whose workflow was terminated', { timeout: 60_000 }, async () => {
    const id = await make('/lost');
    await test.plane.deps.engine.client.workflow.getHandle(llmTaskId(id)).terminate('a test');
    await expect.poll(() => receiver.received('/lost'), NOTICED).toHaveLength(1);
    expect(JSON.parse(receiver.received('/lost')[0]?.body ?? '')).toMatchObject({
      type: 'task.failed',
      task: { id, error_code: 'workflow_ended' },
    });
  });

  it('is retried after a temporary failure, with the same delivery under a new signature', async () => {
    receiver.answer('/again', 503, 429, 200);
    const id = await make('/again');
    await complete(id, { status: 'success' });
    await expect.poll(() => receiver.received('/again'), { timeout: 40_000, interval: 100 }).toHaveLength(3);
    const tries = receiver.received('/again');
    expect(new Set(tries.map(({ headers }) => headers['membridge-delivery'])).size).toBe(1);
    expect(new Set(tries.map(({ body }) => body)).size).toBe(1);
    expect(new Set(tries.map(({ headers }) => headers['membridge-signature'])).size).toBe(3);
    await expect.poll(() => audit(id, 'webhook_delivered'), SOON).toHaveLength(1);
    expect(await audit(id, 'webhook_failed')).toEqual([]);
  }, 60_000);

  it('is not retried after a final answer', async () => {
    receiver.answer('/gone', 410);
    const id = await make('/gone');
    await complete(id, { status: 'success' });
    await expect
      .poll(() => audit(id, 'webhook_failed'), SOON)
      .toMatchObject([{ detail: `127.0.0.1:${receiver.port} answered 410` }]);
    expect(receiver.received('/gone')).toHaveLength(1);
    const { client } = test.plane.deps.engine;
    const { body: task } = await test.call('GET', `${tasks}/${id}`);
    expect(task['status']).toBe('completed');
    const { rows } = await test.plane.deps.db.pool.query<{ seq: number }>(
      'select seq from llm_tasks where id = $1',
      [id],
    );
    const seq = rows[0]?.seq ?? 0;
    expect((await client.workflow.getHandle(webhookId(id, seq)).describe()).status.name).toBe('COMPLETED');
    // Asked for again, as an activity that runs twice does.
    await startDelivery(client, { taskId: id, deliveryId: 'whd_other', body: '{}' }, seq);
    expect((await client.workflow.getHandle(webhookId(id, seq)).describe()).status.name).toBe('COMPLETED');
    expect(receiver.received('/gone')).toHaveLength(1);
  });

  it('follows no redirect', async () => {
    const call = { deliveryId: 'whd_x', body: '{}', secret: 'x', hosts: ['127.0.0.1'] };
    receiver.answer('/moved', 307);
    expect(await sendWebhook({ ...call, url: `${receiver.url}/moved` })).toBe(307);
    receiver.answer('/silent', 'silence');
    await expect(sendWebhook({ ...call, url: `${receiver.url}/silent`, timeoutMs: 300 })).rejects.toThrow(
      'no answer within 0.3 s',
    );
    expect(receiver.received('/elsewhere')).toEqual([]);
  });
});

describe('the secret of webhooks', () => {
  it('is made once, stored sealed, and renewed on request', async () => {
    const first = await secret();
    expect(first).toMatch(/^whsec_[\w-]{43}$/);
    expect(await secret()).toBe(first);
    const { rows } = await test.plane.deps.db.pool.query<{ value: string }>(
      "select value from settings where key = 'webhook_secret'",
    );
    expect(rows[0]?.value).toMatch(/^membridge-sealed\/1:/);
    expect(rows[0]?.value).not.toContain(first);
    const { status, body } = await test.call('POST', '/api/runtime/webhook-secret');
    expect(status).toBe(200);
    expect(body['secret']).not.toBe(first);
    expect(await secret()).toBe(body['secret']);
    expect((await test.call('GET', '/api/runtime/webhook-secret', { headers: {} })).status).toBe(401);
    expect(await audit('singleton', 'webhook_secret_made')).toHaveLength(1);
    expect(await audit('singleton', 'webhook_secret_rotated')).toMatchObject([{ actor: 'api' }]);
    await complete(await make('/rotated'), { status: 'success' });
    await expect.poll(() => receiver.received('/rotated'), SOON).toHaveLength(1);
    const { headers, body: sent } = only('/rotated');
    expect(isSigned(headers['membridge-signature'], sent, String(body['secret']))).toBe(true);
  });
});

describe('where webhooks may go', () => {
  it('is checked when the task is made', async () => {
    const other = await create({ webhook_url: 'https://other.example.com/' });
    expect([other.status, other.body['fields']]).toEqual([
      400,
      [{ field: 'webhook_url', problem: expect.stringContaining('is not among the hosts') as string }],
    ]);
    expect((await create({ webhook_url: 'https://hooks.example.org/x' })).status).toBe(201);
    const batch = await test.call('POST', `${tasks}/batch`, {
      body: { tasks: [{ prompt: 'a' }, { prompt: 'b', webhook_url: 'https://other.example.com/' }] },
    });
    expect([batch.status, batch.body['fields']]).toMatchObject([400, [{ field: 'tasks.1.webhook_url' }]]);
  });

  it('is the public internet unless hosts are listed, however an address is written', () => {
    for (const url of [
      'http://127.0.0.1/',
      'http://0x7f.1/',
      'http://2130706433/',
      'http://localhost:8000/',
      'http://a.localhost/',
      'http://LOCALHOST./',
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[fd00::1]/',
      'http://[fe80::1]/',
      'http://169.254.169.254/latest/meta-data',
      'http://10.1.2.3/',
      'http://172.31.0.1/',
      'http://192.168.1.1/',
      'http://0.0.0.0/',
      'http://[64:ff9b::7f00:1]/',
    ]) {
      expect(explainRefusedWebhook(url, []), url).toMatch(/is not on the open internet/);
    }
    expect(explainRefusedWebhook('ftp://example.org/', [])).toMatch(/http\(s\)/);
    expect(explainRefusedWebhook('https://user:word@example.org/', [])).toMatch(/user name/);
    for (const url of ['https://example.org/x?y', 'http://8.8.8.8/', 'http://[2606:4700::1111]/']) {
      expect(explainRefusedWebhook(url, []), url).toBeNull();
    }
    expect(explainRefusedWebhook('http://10.1.2.3/', ['10.1.2.3'])).toBeNull();
    expect(isPublicAddress('172.32.0.1')).toBe(true);
    expect(isPublicAddress('example.org')).toBe(false);
  });

  it('is checked at the connected address, so that a name cannot lead inside', async () => {
    const call = { deliveryId: 'whd_x', body: '{}', secret: 'x' };
    // Only the connection resolves the name here, without an earlier check of the text.
    const inside = sendWebhook({ ...call, hosts: [], url: `http://localhost:${receiver.port}/inside` });
    await expect(inside).rejects.toMatchObject({
      name: 'AddressRefused',
      message: expect.stringContaining('localhost is not on the open internet') as string,
    });
    await expect(sendWebhook({ ...call, hosts: [], url: `${receiver.url}/inside` })).rejects.toMatchObject({
      name: 'AddressRefused',
    });
    expect(receiver.received('/inside')).toEqual([]);
    expect(
      await sendWebhook({ ...call, hosts: ['localhost'], url: `http://localhost:${receiver.port}/inside` }),
    ).toBe(204);
  });

  it('is checked again at delivery, because the allowed hosts may have changed', async () => {
    const id = await make('/closed');
    await test.plane.deps.db.pool.query(
      "update llm_tasks set webhook_url = 'http://10.1.2.3/' where id = $1",
      [id],
    );
    await complete(id, { status: 'success' });
    await expect
      .poll(() => audit(id, 'webhook_failed'), SOON)
      .toMatchObject([{ detail: expect.stringContaining('10.1.2.3 is not among the hosts') as string }]);
    expect(receiver.received('/closed')).toEqual([]);
  });
});
