import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AuditLog, AuditProof, ExportedAudit } from '../../contract/audit.ts';
import { CHAIN_START, chainHash } from '../../api/audit/chain.ts';
import { randomSecret } from '../../api/auth/secrets.ts';
import {
  RUNTIME_KEY,
  enrolNode,
  freshDatabase,
  startTestPlane,
  type TestPlane,
} from '../support/control-plane.ts';

/** A control plane with a separate database role, and the connection of the database's owner. */
let api: TestPlane;
let owner: Client;
let drop: () => Promise<void>;
beforeAll(async () => {
  const database = await freshDatabase(inject('parts').databaseUrl);
  const runtime = new URL(database.url);
  runtime.username = `runtime_${randomSecret().slice(0, 8)}`.toLowerCase().replaceAll(/\W/g, '_');
  runtime.password = randomSecret();
  api = await startTestPlane({
    databaseUrl: runtime.href,
    env: { DATABASE_OWNER_URL: database.url },
  });
  owner = new Client({ connectionString: database.url });
  await owner.connect();
  drop = async () => {
    await owner.query(`drop owned by "${runtime.username}"; drop role "${runtime.username}"`);
    await owner.end();
    await database.drop();
  };
});
afterAll(async () => {
  await api.stop();
  await drop();
});

const entries = async (filter: string): Promise<AuditLog[]> =>
  (await api.call('GET', `/api/runtime/audit?${filter}`)).body as unknown as AuditLog[];
const actions = async (filter: string): Promise<string[]> =>
  (await entries(filter)).map(({ action }) => action).toReversed();
const prove = async (query = ''): Promise<AuditProof> =>
  (await api.call('GET', `/api/runtime/audit/proof${query}`)).body as unknown as AuditProof;

/** Makes a change as the owner with the triggers off, checks, and undoes it. */
async function tampered(statements: string, look: () => Promise<void>): Promise<void> {
  await owner.query(
    'create table kept_logs as table audit_logs; create table kept_chain as table audit_chain',
  );
  // Triggers of foreign keys and of the log are both off.
  await owner.query(`set session_replication_role = replica; ${statements}`);
  try {
    await look();
  } finally {
    await owner.query(`delete from audit_chain; delete from audit_logs;
      insert into audit_logs select * from kept_logs; insert into audit_chain select * from kept_chain;
      drop table kept_logs; drop table kept_chain; set session_replication_role = default`);
  }
}

describe('S20: the audit log', () => {
  it('records spaces made, changed and deleted, with what changed', async () => {
    const space = await api.call('POST', '/api/membridge/spaces', { body: { name: 'secret plans' } });
    const path = `/api/membridge/spaces/${String(space.body['canonical_id'])}`;
    await api.call('PATCH', path, { body: { encrypted: true, redact: false } });
    await enrolNode(api, 'laptop');
    await api.call('PUT', `${path}/nodes/laptop/settings`, { body: { names: { mine: 'ours' }, trust: {} } });
    await api.call('DELETE', path);
    const told = await entries(`entity_id=${String(space.body['canonical_id'])}`);
    expect(told.map(({ action, actor, detail }) => [action, actor, detail]).toReversed()).toEqual([
      ['space_created', 'api', 'secret plans: claude-mem projects secret plans'],
      ['space_updated', 'api', 'redact: true → false, encrypted: false → true'],
      ['space_node_settings_changed', 'api', 'laptop: calls ours mine'],
      ['space_deleted', 'api', 'secret plans'],
    ]);
  });

  it('records enrolment tokens, sign-ins, sign-outs and wrong keys, without the secrets', async () => {
    const token = await api.call('POST', '/api/runtime/enrolment-tokens', { body: { node_id: 'new' } });
    expect(await actions('entity_type=enrolment_token&correlation_id=new')).toEqual([
      'enrolment_token_created',
    ]);
    const headers = { 'User-Agent': 'a browser' };
    const signedIn = await api.call('POST', '/api/session', { headers, body: { key: RUNTIME_KEY } });
    const cookie = (signedIn.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';
    await api.call('DELETE', '/api/session', { headers: { Cookie: cookie, Origin: api.plane.url } });
    const wrong = randomSecret();
    await api.call('POST', '/api/session', { headers: {}, body: { key: wrong } });
    await expect
      .poll(() => actions('entity_type=session'))
      .toEqual(['signed_in', 'signed_out', 'key_refused']);
    const all = JSON.stringify(await entries('limit=1000'));
    for (const secret of [String(token.body['token']), cookie.split('=')[1] ?? '', wrong, RUNTIME_KEY]) {
      expect(all).not.toContain(secret);
    }
  });

  it('refuses changes of entries and of its rules by the role of Membridge', async () => {
    for (const statement of [
      "update audit_logs set detail = ''",
      'delete from audit_logs',
      'truncate audit_logs cascade',
      'delete from audit_chain',
      'drop trigger audit_logs_append_only on audit_logs',
      'alter table audit_logs disable trigger all',
      'drop table audit_logs cascade',
      'set session_replication_role = replica',
      'create or replace function refuse_audit_change() returns trigger language plpgsql as $$begin return null; end$$',
    ]) {
      await expect(api.plane.deps.db.pool.query(statement), statement).rejects.toThrow(
        /permission denied|must be owner/,
      );
    }
    expect((await prove()).role_can_alter).toBe(false);
  });

  it('proves that it is unchanged', async () => {
    const proof = await prove();
    expect(proof).toMatchObject({ intact: true, problem: null });
    expect(proof.entries).toBeGreaterThan(3);
    expect(await prove(`?position=${proof.entries}&hash=${proof.hash}`)).toMatchObject({ intact: true });
  });

  it.each([
    ['changed', "update audit_logs set actor = 'nobody' where id = 2", /changed entry 2/],
    ['deleted', 'delete from audit_logs where id = 2', /no longer has entry 2/],
    [
      'deleted with its place in the chain',
      'delete from audit_chain where audit_id = 2; delete from audit_logs where id = 2',
      /Position 2 is missing/,
    ],
    [
      'changed, with a new hash in its place',
      "update audit_logs set actor = 'nobody' where id = 1; update audit_chain set hash = repeat('0', 64) where audit_id = 1",
      /changed entry 1/,
    ],
  ])('detects an entry that the database’s owner %s', async (_, statements, problem) => {
    await prove();
    await tampered(statements, async () => {
      const proof = await prove();
      expect(proof.intact).toBe(false);
      expect(proof.problem).toMatch(problem);
    });
    expect((await prove()).intact).toBe(true);
  });

  it('proves that a whole chain was rebuilt without the signing key', async () => {
    await prove();
    const lines = (await entries('limit=1000')).toReversed();
    let hash = CHAIN_START;
    const rewritten = lines.map((entry) => {
      hash = chainHash(hash, entry.id === '1' ? { ...entry, actor: 'nobody' } : entry);
      return `update audit_chain set hash = '${hash}' where audit_id = ${entry.id}`;
    });
    await tampered(`update audit_logs set actor = 'nobody' where id = 1; ${rewritten.join('; ')}`, async () =>
      expect((await prove()).problem).toMatch(/signature at entry .* is not this server's/),
    );
  });

  it('proves a removal of the newest entries, with an earlier end of the chain', async () => {
    const before = await prove();
    await tampered(
      `delete from audit_chain where position > 2; delete from audit_logs where id > 2;
       update audit_chain set signature = (select signature from kept_chain where position = 2) where position = 2`,
      async () => {
        const known = `?position=${before.entries}&hash=${before.hash}`;
        expect((await prove(known)).intact).toBe(false);
      },
    );
  });

  it('can be checked from an export alone', async () => {
    await prove();
    const url = `${api.plane.url}/api/runtime/audit/export?format=jsonl`;
    const answer = await fetch(url, { headers: { 'X-Runtime-API-Key': RUNTIME_KEY } });
    const lines = (await answer.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ExportedAudit);
    let hash = CHAIN_START;
    for (const line of lines) {
      hash = chainHash(hash, line);
      expect(line.chain_hash).toBe(hash);
    }
    expect(lines.length).toBeGreaterThan(3);
  });
});
