import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  enrolNode,
  heartbeat,
  newPublicKey,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';

let api: TestPlane;
beforeAll(async () => {
  api = await startTestPlane({ env: { MEMBRIDGE_AGENT_TEMPORAL_ADDRESS: 'temporal.example:7233' } });
});
afterAll(async () => await api.stop());

async function token(nodeId?: string): Promise<string> {
  const body = nodeId === undefined ? {} : { node_id: nodeId };
  const answer = await api.call('POST', '/api/runtime/enrolment-tokens', { body });
  return String(answer.body['token']);
}

async function enrol(nodeId: string, withToken: string, publicKey = newPublicKey()) {
  const body = { token: withToken, node_id: nodeId, public_key: publicKey, facts: heartbeat(nodeId).facts };
  return await api.call('POST', '/api/agent/enrol', { headers: {}, body });
}

test('returns a certificate that the control plane signed, and the addresses of Temporal and the store', async () => {
  const enrolled = await enrolNode(api, 'signed');
  const { certificate } = enrolled;
  const text = [
    'membridge-certificate/1',
    certificate.node,
    certificate.key_id,
    certificate.public_key,
    certificate.issued_at,
  ].join('\n');
  const root = createPublicKey({
    key: Buffer.from(enrolled.control_public_key, 'base64'),
    format: 'der',
    type: 'spki',
  });
  expect(verify(null, Buffer.from(text), root, Buffer.from(certificate.signature, 'base64'))).toBe(true);
  expect(enrolled.temporal.address).toBe('temporal.example:7233');
});

test('accepts a token only once', async () => {
  const once = await token();
  expect((await enrol('once-a', once)).status).toBe(201);
  const again = await enrol('once-b', once);
  expect(again.status).toBe(401);
  expect(again.body['error']).toContain('used already');
});

test('refuses an unknown token, and an expired one', async () => {
  expect((await enrol('late', 'nonsense')).status).toBe(401);
  const late = await token();
  await api.plane.deps.db.pool.query('update enrolment_tokens set expires_at = 1 where used_at is null');
  const answer = await enrol('late', late);
  expect(answer.status).toBe(401);
  expect(answer.body['error']).toContain('expired');
});

test('refuses a token for another node, and does not use it up', async () => {
  const bound = await token('bound');
  expect((await enrol('other', bound)).status).toBe(403);
  expect((await enrol('bound', bound)).status).toBe(201);
});

test('enrols an existing node again only with a token for it, and revokes the old key', async () => {
  const first = await enrolNode(api, 'twice');
  const open = await token();
  expect((await enrol('twice', open)).status).toBe(409);
  expect((await enrol('fresh', open)).status).toBe(201);
  const second = await enrolNode(api, 'twice');
  const report = (key: string) =>
    api.call('POST', '/api/agent/heartbeat', { headers: { 'X-MEMBRIDGE-AGENT': key }, body: heartbeat() });
  expect((await report(first.agent_key)).status).toBe(401);
  expect((await report(second.agent_key)).status).toBe(200);
});

test.each([
  ['nonsense', 'nonsense'],
  [
    'an X25519 key',
    generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
  ],
])('refuses %s as a public key, and keeps the token valid', async (_name, key) => {
  const good = await token();
  const answer = await enrol('keyed', good, key);
  expect(answer.status).toBe(400);
  expect(answer.body['fields']).toMatchObject([{ field: 'public_key' }]);
});

test('shows a node as online after its heartbeat and as unknown before', async () => {
  await enrolNode(api, 'silent', false);
  expect((await api.call('GET', '/api/runtime/workers/silent')).body['status']).toBe('unknown');
  await enrolNode(api, 'silent');
  const { body } = await api.call('GET', '/api/runtime/workers/silent');
  expect(body).toMatchObject({ status: 'online', obs_count: 3 });
});
