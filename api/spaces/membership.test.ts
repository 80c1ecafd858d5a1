import { afterAll, beforeAll, expect, it } from 'vitest';
import { MEMBERSHIP_HEADER, Membership, SEALING_HEADER } from '../../contract/memory/membership.ts';
import { isValidMembership } from '../../memory/format/signing.ts';
import { enrolNode, heartbeat, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { publicKeyText } from '../nodes/certificates.ts';

let api: TestPlane;
let key: string;
let keyId: (node: string) => Promise<string>;
beforeAll(async () => {
  api = await startTestPlane();
  key = (await enrolNode(api, 'reader')).agent_key;
  keyId = async (node) => (await enrolNode(api, node)).certificate.key_id;
});
afterAll(async () => await api.stop());

/** Returns the answer to a heartbeat of an agent that names a membership, or none. */
async function report(
  has: string | undefined,
  more: Record<string, string> = {},
): Promise<Membership | null> {
  const headers: Record<string, string> = { 'X-MEMBRIDGE-AGENT': key, ...more };
  if (has !== undefined) headers[MEMBERSHIP_HEADER] = has;
  const answer = await api.call('POST', '/api/agent/heartbeat', { headers, body: heartbeat('reader') });
  expect(answer.status).toBe(200);
  return 'membership' in answer.body ? Membership.parse(answer.body['membership']) : null;
}
/** Waits for the membership to fit, once the control plane has read it again. */
async function expectMembership(expected: (membership: Membership) => unknown): Promise<void> {
  await expect
    .poll(async () => expected((await report('none')) as Membership), { timeout: 5_000 })
    .toBeTruthy();
}

it('is signed, and sent only to an agent that names a different one', async () => {
  expect(await report(undefined)).toBeNull();
  const membership = (await report('none')) as Membership;
  expect(isValidMembership(membership, publicKeyText(api.plane.deps.config.signingKey))).toBe(true);
  expect(
    isValidMembership({ ...membership, since: 1 }, publicKeyText(api.plane.deps.config.signingKey)),
  ).toBe(false);
  expect(await report(membership.signature)).toBeNull();
});

it('names the keys of nodes that were removed or enrolled again, and until when they signed', async () => {
  const [removed, before] = [await keyId('removed'), await keyId('again')];
  await api.call('DELETE', '/api/runtime/workers/removed');
  await keyId('again');
  await expectMembership(({ retired }) => retired.length === 2);
  const { retired } = (await report('none')) as Membership;
  expect(Object.fromEntries(retired.map(({ key_id, node }) => [node, key_id]))).toEqual({
    again: before,
    removed,
  });
  for (const { until } of retired) expect(Math.abs(Date.now() - until)).toBeLessThan(60_000);
  const moved = await api.call('PUT', `/api/membridge/retired-keys/${removed}`, { body: { until: 5 } });
  expect(moved.body).toEqual({ key_id: removed, node_id: 'removed', until: 5 });
  await expectMembership(({ retired: now }) => now.some(({ until }) => until === 5));
  const nobody = await api.call('PUT', `/api/membridge/retired-keys/${'0'.repeat(16)}`, {
    body: { until: 5 },
  });
  expect(nobody.status).toBe(404);
});

it('says since when a space is encrypted, and whose deletions are allowed', async () => {
  const { body } = await api.call('POST', '/api/membridge/spaces', { body: { name: 'sealed' } });
  const cid = String(body['canonical_id']);
  const path = `/api/membridge/spaces/${cid}`;
  await api.call('PATCH', path, { body: { encrypted: true } });
  await expectMembership(({ encrypted }) => Math.abs(Date.now() - (encrypted[cid] ?? 0)) < 60_000);
  const since = ((await report('none')) as Membership).encrypted[cid];
  await api.call('PATCH', path, { body: { encrypted: true, redact: true } });
  expect((await api.call('POST', `${path}/nodes/reader/deletions`)).status).toBe(204);
  await expectMembership(({ deletions }) =>
    deletions.some(({ space, node }) => space === cid && node === 'reader'),
  );
  expect(((await report('none')) as Membership).encrypted[cid]).toBe(since);
  await api.call('PATCH', path, { body: { encrypted: false } });
  await expectMembership(({ encrypted }) => encrypted[cid] === undefined);
});

it('names the keys that others may encrypt for each node with, as the node reported them', async () => {
  const [today, before] = ['0123456789abcdef', 'fedcba9876543210'];
  const headers = { [SEALING_HEADER]: `${today},${before}` };
  await expect
    .poll(async () => (await report('none', headers))?.sealing['reader'], { timeout: 5_000 })
    .toEqual([today, before]);
  await expect
    .poll(async () => (await report('none', { [SEALING_HEADER]: 'no key id' }))?.sealing['reader'], {
      timeout: 5_000,
    })
    .toBeUndefined();
});
