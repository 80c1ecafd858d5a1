import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { AuditLog } from '../../contract/audit.ts';
import { recordAudit, type NewAudit } from '../../db/queries/record-audit.ts';
import { recordCloneFinished, recordCloneWaiting } from '../../db/queries/record-clone.ts';
import { recordLeadership } from '../../db/queries/record-leadership.ts';
import { recordPropagation } from '../../db/queries/record-propagation.ts';
import {
  ADMIN_KEY,
  RUNTIME_KEY,
  enrolNode,
  startTestPlane,
  type TestPlane,
} from '../../test/support/control-plane.ts';
import { CLONED } from '../../test/git/held-clones.ts';
import { csvLine } from './csv.ts';
import { exportAudit } from './export.ts';

const TOKEN = 'ghp_ATOKENTHATNOBODYMAYSEE0123456789';
const asAdmin = { headers: { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY } };

let test: TestPlane;
let made = 0;

beforeAll(async () => {
  test = await startTestPlane();
  await enrolNode(test, 'a');
});
afterAll(async () => await test.stop());

/** Returns the log's entries, oldest first. */
async function listAudited(filter: string): Promise<AuditLog[]> {
  const { status, body } = await test.call('GET', `/api/runtime/audit?${filter}`);
  expect(status).toBe(200);
  return (body as unknown as AuditLog[]).toReversed();
}
const actionsOf = async (filter: string): Promise<[string, string][]> =>
  (await listAudited(filter)).map(({ action, actor }) => [action, actor]);

async function project(body: Record<string, unknown> = {}): Promise<string> {
  made += 1;
  const answer = await test.call('POST', '/api/runtime/projects', {
    body: { name: `audited ${made}`, repo_url: 'https://git.example.org/a', ...body },
  });
  expect(answer.status).toBe(201);
  return String(answer.body['id']);
}

describe('the audit log', () => {
  it('records who made, changed and deleted projects, without any secret', async () => {
    const id = await project();
    const path = `/api/runtime/projects/${id}`;
    await test.call('PATCH', path, { body: { name: `renamed ${made}`, tags: ['x'] }, ...asAdmin });
    await test.call('PUT', `${path}/credential`, { body: { kind: 'token', token: TOKEN } });
    await test.call('DELETE', `${path}/credential`);
    // A refused request leaves no entry.
    expect((await test.call('PATCH', path, { body: { space: '0123456789abcdef' } })).status).toBe(404);
    await test.call('DELETE', path);
    const entries = await listAudited(`entity_id=${id}`);
    expect(entries).toMatchObject([
      {
        action: 'project_created',
        entity_type: 'managed_project',
        actor: 'api',
        detail: `audited ${made} of https://git.example.org/a`,
        cause: 'somebody asked for it over the API',
        correlation_id: id,
      },
      { action: 'project_updated', actor: 'admin', detail: `audited ${made}: tags, name renamed ${made}` },
      { action: 'project_updated', detail: `renamed ${made}: credential set` },
      { action: 'project_updated', detail: `renamed ${made}: credential removed` },
      { action: 'project_deleted', actor: 'api' },
    ]);
    expect(JSON.stringify(entries)).not.toContain(TOKEN);
  });

  it('records clones that were made, failed or cancelled, once for repeated reports, and no fetches', async () => {
    const { db } = test.plane.deps;
    const id = await project();
    const ref = { projectId: id, node: 'a', workflowId: `clone:${id}:a`, runId: 'run' };
    for (const outcome of [
      { kind: 'done', result: { ...CLONED, detail: 'cloned main' } },
      { kind: 'failed', code: 'git_not_found', message: 'There is no branch x.' },
      { kind: 'cancelled' },
    ] as const) {
      await recordCloneWaiting(db, { ...ref, action: 'clone', detail: 'waits', now: 1 });
      for (const now of [2, 3]) await recordCloneFinished(db, { ...ref, action: 'clone', outcome, now });
      await recordCloneWaiting(db, { ...ref, action: 'fetch', detail: 'waits', now: 3 });
      await recordCloneFinished(db, { ...ref, action: 'fetch', outcome, now: 3 });
    }
    expect((await listAudited(`entity_id=${id}`)).slice(1)).toMatchObject([
      {
        action: 'project_cloned',
        actor: 'engine',
        detail: 'a: cloned main',
        cause: `workflow clone:${id}:a`,
      },
      { action: 'project_clone_failed', detail: 'a: There is no branch x.', correlation_id: 'run' },
      { action: 'project_clone_cancelled', detail: 'a: cancelled' },
    ]);
  });

  it('records propagations that ended', async () => {
    const { db } = test.plane.deps;
    const id = await project();
    const propagation = {
      action: 'clone' as const,
      nodes: ['a'],
      started_at: 1,
      workflow_id: `propagate:${id}`,
      run_id: `run ${id}`,
    };
    for (const [state, finished_at] of [
      ['running', null],
      ['done', 5],
      ['done', 5],
      ['cancelled', 6],
    ] as const) {
      await recordPropagation(db, {
        projectId: id,
        propagation: { ...propagation, state, finished_at },
        now: 7,
      });
    }
    expect((await actionsOf(`entity_id=${id}`)).slice(1)).toEqual([
      ['project_propagated', 'engine'],
      ['project_propagation_cancelled', 'engine'],
    ]);
  });

  it('records a leadership that is selected, renewed by a person, expired or released, but no renewals by Temporal', async () => {
    const id = await project({ primary_node_id: 'a' });
    const cid = canonicalId(`audited ${made}`);
    await test.call('POST', `/projects/${cid}/leadership/select`, {
      body: { primary_node_id: 'a' },
      ...asAdmin,
    });
    await test.call('PATCH', `/api/runtime/projects/${id}`, { body: { primary_node_id: null } });
    const state = {
      cid,
      primary: null,
      epoch: 2,
      leaseSeconds: 60,
      issuedAt: 1,
      expiresAt: 1,
      issuedBy: 'engine',
    };
    const { db } = test.plane.deps;
    for (const event of ['expired', 'expired', null] as const) {
      expect(await recordLeadership(db, { state, event, by: 'engine', now: 9 })).toBe(true);
    }
    expect(await listAudited(`entity_type=leadership&entity_id=${cid}`)).toMatchObject(
      [
        { action: 'leadership_promote', actor: 'api', detail: 'a is primary in leadership epoch 1' },
        { action: 'leadership_promote', actor: 'admin', detail: /stays primary in leadership epoch 1/ },
        { action: 'leadership_released', actor: 'api', cause: 'api released it' },
        {
          action: 'leadership_expired',
          actor: 'engine',
          cause: 'the lease expired, and its node sent no heartbeat',
        },
      ].map((each) => ({
        ...each,
        ...('detail' in each ? { detail: expect.stringMatching(each.detail ?? '') as string } : {}),
      })),
    );
  });

  it('records nodes that enroll, enroll again and are removed', async () => {
    await enrolNode(test, 'comes');
    await enrolNode(test, 'comes');
    await test.call('DELETE', '/api/runtime/workers/comes');
    await enrolNode(test, 'comes');
    await test.call('DELETE', '/agents/comes', asAdmin);
    expect(await test.call('DELETE', '/api/runtime/workers/comes')).toMatchObject({ status: 404 });
    expect(await actionsOf('entity_type=worker&entity_id=comes')).toEqual([
      ['worker_registered', 'comes'],
      ['worker_updated', 'comes'],
      ['worker_removed', 'api'],
      ['worker_registered', 'comes'],
      ['worker_removed', 'admin'],
    ]);
  });

  it('records settings and tests of the remote control plane, without the key', async () => {
    const key = 'a-key-of-the-other-control-plane';
    await test.call('POST', '/api/runtime/config', {
      body: { membridge_server_url: 'http://127.0.0.1:9', admin_key: key },
    });
    await test.call('POST', '/api/runtime/test-connection', { body: {} });
    const entries = await listAudited('entity_type=runtime_config');
    expect(entries).toMatchObject([
      {
        action: 'config_updated',
        entity_id: 'singleton',
        actor: 'api',
        detail: 'membridge_server_url http://127.0.0.1:9 and admin_key set',
      },
      { action: 'connection_test', actor: 'api', detail: expect.stringMatching(/127\.0\.0\.1:9/) as string },
    ]);
    expect(JSON.stringify(entries)).not.toContain(key);
  });

  it('records settings of tasks', async () => {
    const body = { context_budget_usd: 5, project_budget_usd: null, artifact_days: 90, output_hours: 24 };
    expect((await test.call('PUT', '/api/runtime/task-settings', { body })).status).toBe(200);
    expect((await listAudited('entity_type=runtime_config')).at(-1)).toMatchObject({
      action: 'config_updated',
      actor: 'api',
      detail: 'tasks: context_budget_usd 5, project_budget_usd none, artifact_days 90, output_hours 24',
    });
  });

  it('records syncs that people requested, by direction', async () => {
    const { body } = await test.call('POST', '/api/membridge/spaces', { body: { name: 'garden' } });
    const cid = String(body['canonical_id']);
    for (const action of ['push', 'pull', 'sync']) {
      const asked = await test.call('POST', `/api/membridge/spaces/${cid}/sync`, {
        body: { action, node_id: 'a' },
      });
      expect(asked.status).toBe(202);
    }
    expect(await listAudited(`entity_type=membridge_project&entity_id=${cid}`)).toMatchObject([
      { action: 'space_created', actor: 'api' },
      { action: 'memory_sync_push', actor: 'api', detail: 'push of garden on a' },
      { action: 'memory_sync_pull', actor: 'api', correlation_id: expect.stringMatching(/^job_/) as string },
      { action: 'memory_sync', actor: 'api' },
    ]);
  });
});

describe('the audit log', () => {
  const entry = (eventKey: string, more: Partial<NewAudit> = {}): NewAudit => ({
    eventKey,
    action: 'tested',
    entity_type: 'llm_task',
    entity_id: 't',
    actor: 'api',
    detail: 'd',
    cause: 'c',
    correlation_id: 'paging',
    timestamp: 1_000,
    ...more,
  });
  const write = (entries: NewAudit[]) => test.plane.deps.db.transaction((tx) => recordAudit(tx, entries));
  const exportAs = async (query: string): Promise<{ status: number; headers: Headers; text: string }> => {
    const response = await fetch(`${test.plane.url}/api/runtime/audit/export?${query}`, {
      headers: { 'X-Runtime-API-Key': RUNTIME_KEY },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };

  it('is listed by pages, newest first, and filtered by entity', async () => {
    await write(Array.from({ length: 5 }, (_, n) => entry(`page ${n}`, { detail: String(n) })));
    const seen: string[] = [];
    let before = '';
    for (let page = 1; ; page += 1) {
      const query = `correlation_id=paging&limit=2${before === '' ? '' : `&before=${before}`}`;
      const { body, headers } = await test.call('GET', `/api/runtime/audit?${query}`);
      seen.push(...(body as unknown as AuditLog[]).map(({ detail }) => detail));
      before = headers.get('X-Next-Cursor') ?? '';
      if (before === '') {
        expect(page).toBe(3);
        break;
      }
    }
    expect(seen).toEqual(['4', '3', '2', '1', '0']);
    expect(await listAudited('correlation_id=paging&action=other')).toEqual([]);
    expect(await listAudited('correlation_id=paging&actor=engine')).toEqual([]);
    for (const wrong of ['before=x', 'entity_type=other']) {
      expect((await test.call('GET', `/api/runtime/audit?${wrong}`)).status).toBe(400);
    }
    expect((await test.call('GET', '/api/runtime/audit', { headers: {} })).status).toBe(401);
    expect((await test.call('GET', '/api/runtime/audit/export', { headers: {} })).status).toBe(401);
  });

  it('is exported whole and in order, beyond one batch', async () => {
    await write(
      Array.from({ length: 2_500 }, (_, n) =>
        entry(`many ${n}`, { detail: String(n), correlation_id: 'many' }),
      ),
    );
    const { status, headers, text } = await exportAs('correlation_id=many');
    expect([status, headers.get('Content-Type'), headers.get('Content-Disposition')]).toEqual([
      200,
      'application/jsonl; charset=utf-8',
      'attachment; filename="membridge-audit.jsonl"',
    ]);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditLog);
    expect(lines.map(({ detail }) => detail)).toEqual(Array.from({ length: 2_500 }, (_, n) => String(n)));
    expect(Object.keys(lines[0] ?? {})).not.toContain('event_key');
    const { text: csv } = await exportAs('correlation_id=many&format=csv');
    expect(csv.split('\r\n')).toHaveLength(2_502);
    expect((await exportAs('correlation_id=none')).text).toBe('');
  });

  it('runs nothing in a spreadsheet when exported as CSV, and keeps every cell', async () => {
    const details = ['=1+1', '+1', '-1', '@SUM(A1)', 'a,b', 'say "no"', "it's", 'plain', ''];
    await write(details.map((detail, n) => entry(`csv ${n}`, { detail, correlation_id: 'csv' })));
    const { text, headers } = await exportAs('correlation_id=csv&format=csv');
    expect(headers.get('Content-Type')).toBe('text/csv; charset=utf-8');
    // The last three columns belong to the chain: a position, a hash and perhaps a signature.
    const withoutChain = (line: string): string => line.replace(/,\d+,[0-9a-f]{64},[^,]*$/, '');
    const [head, first, second, ...rest] = text.split('\r\n').map(withoutChain);
    expect(head).toBe(
      'id,timestamp,time,action,entity_type,entity_id,actor,detail,cause,correlation_id,chain_position,chain_hash,chain_signature',
    );
    expect(first).toMatch(/^\d+,1000,1970-01-01T00:00:01\.000Z,tested,llm_task,t,api,'=1\+1,c,csv$/);
    expect(second).toContain(",'+1,");
    expect(rest.map((line) => line.split(',api,')[1])).toEqual([
      "'-1,c,csv",
      "'@SUM(A1),c,csv",
      '"a,b",c,csv',
      '"say ""no""",c,csv',
      "it's,c,csv",
      'plain,c,csv',
      ',c,csv',
      undefined,
    ]);
    expect(csvLine(['=a,"b"', '\t=1', '\r', 'two\nlines', -5])).toBe(
      `"'=a,""b""",'\t=1,"'\r","two\nlines",'-5\r\n`,
    );
  });

  it('stops an export when its reader leaves', async () => {
    const { db } = test.plane.deps;
    for (let each = 0; each < 4; each += 1) {
      await write(
        Array.from({ length: 4_000 }, (_, n) =>
          entry(`slow ${each} ${n}`, {
            detail: 'x'.repeat(500),
            cause: 'y'.repeat(500),
            correlation_id: 'slow',
          }),
        ),
      );
    }
    let queries = 0;
    const counted: typeof db = {
      ...db,
      run: (work) => {
        queries += 1;
        return db.run(work);
      },
    };
    const ended = Promise.withResolvers<void>();
    const app = express().get('/', async (_req, res) => {
      await exportAudit(
        { db: counted, config: test.plane.deps.config },
        { format: 'jsonl', correlation_id: 'slow' },
        res,
      );
      ended.resolve();
    });
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const request = httpGet(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      await once(response, 'readable');
      request.destroy();
      await ended.promise;
      // One query for the end of the log, then one for each batch of 1,000 out of 16,000.
      expect(queries).toBeGreaterThan(1);
      expect(queries).toBeLessThan(16);
    } finally {
      server.close();
    }
  });

  it('refuses every change and deletion', async () => {
    const { pool } = test.plane.deps.db;
    for (const statement of [
      "update audit_logs set detail = ''",
      'delete from audit_logs',
      'truncate audit_logs cascade',
    ]) {
      await expect(pool.query(statement)).rejects.toThrow(/append-only/);
    }
  });
});
