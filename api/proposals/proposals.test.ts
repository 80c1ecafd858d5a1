import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROPOSAL_WAIT_MS, type Proposal } from '../../contract/projects/proposals.ts';
import { insertProposal } from '../../db/queries/insert-proposal.ts';
import { expireProposals } from '../../db/queries/expire-proposals.ts';
import { recordProposal } from '../../db/queries/record-proposal.ts';
import { blobKey } from '../../storage/blobs.ts';
import { ADMIN_KEY, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';
import { fileOutput, insertTestProposal } from '../../test/git/proposals.ts';

const DIFF = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n';

let test: TestPlane;
let made = 0;

beforeAll(async () => {
  test = await startTestPlane({ env: { MEMBRIDGE_GIT_HOSTS: 'git.example.org' } });
});
afterAll(async () => await test.stop());

/** Makes a project with a unique name and without a clone. */
async function project(): Promise<string> {
  made += 1;
  const { body } = await test.call('POST', '/api/runtime/projects', {
    body: { name: `p${made}`, repo_url: 'https://git.example.org/a' },
  });
  return String(body['id']);
}
const path = (id: string, what = ''): string => `/api/runtime/proposals/${id}${what}`;
const get = async (id: string): Promise<Proposal> =>
  (await test.call('GET', path(id))).body as unknown as Proposal;
const audit = async (id: string): Promise<Record<string, unknown>[]> => {
  const { rows } = await test.plane.deps.db.pool.query<Record<string, unknown>>(
    'select action, actor, cause, detail, correlation_id from audit_logs where entity_id = $1 order by id',
    [id],
  );
  return rows;
};

describe('proposals', () => {
  it('wait for a person, with the worker’s patch or text', async () => {
    const id = await project();
    const patch = await insertTestProposal(test.plane.deps, id, `As asked:\n\`\`\`diff\n${DIFF}\`\`\`\n`);
    const shown = await get(patch);
    expect(shown).toMatchObject({
      project_id: id,
      status: 'pending',
      kind: 'patch',
      path: null,
      content: DIFF,
      // Only git's own diff is shown as a diff, and no node can make one here.
      diff: null,
      preview: { state: 'making', tree: null },
      history_url: null,
    });
    expect(shown.expires_at - shown.created_at).toBe(72 * 3_600_000);
    const file = await insertTestProposal(
      test.plane.deps,
      id,
      fileOutput('notes/a.md', 'one\ntwo', { title: 'Notes' }),
    );
    expect(await get(file)).toMatchObject({
      title: 'Notes',
      path: 'notes/a.md',
      content: 'one\ntwo',
      diff: null,
    });
    expect((await test.call('GET', path('prop_none'))).status).toBe(404);
    expect((await test.call('GET', path(file), { headers: {} })).status).toBe(401);
  });

  it('are still shown when their content was removed', async () => {
    const id = await insertTestProposal(test.plane.deps, await project(), DIFF);
    const { rows } = await test.plane.deps.db.pool.query<{ sha256: string }>(
      'select sha256 from runtime_artifacts a join proposals p on p.artifact_id = a.id where p.id = $1',
      [id],
    );
    const key = blobKey(rows[0]?.sha256 ?? '');
    const bytes = await test.plane.deps.store.get(key);
    await test.plane.deps.store.remove(key);
    expect(await get(id)).toMatchObject({ status: 'pending', content: null, diff: null });
    await test.plane.deps.store.put(key, bytes ?? Buffer.alloc(0));
  });

  it('are made once, with an entry in the audit log and an event', async () => {
    const projectId = await project();
    const id = await insertTestProposal(test.plane.deps, projectId, DIFF, { title: 'a\nb\0c' });
    const again = {
      id,
      taskId: 'task_other',
      artifactId: 'other',
      projectId,
      workerId: 'other',
      agentSlug: 'other',
      title: 'other',
      kind: 'file' as const,
      path: 'x',
      expectedVersion: null,
      now: 1,
    };
    expect(await test.plane.deps.db.transaction((tx) => insertProposal(tx, again))).toBe(false);
    expect(await get(id)).toMatchObject({ title: 'a b c', agent_slug: 'writer', kind: 'patch' });
    const { task_id: task } = await get(id);
    expect(await audit(id)).toEqual([
      {
        action: 'proposal_created',
        actor: 'maker',
        cause: `task ${task} completed`,
        detail: 'writer proposes a patch',
        correlation_id: task,
      },
    ]);
    const { rows } = await test.plane.deps.db.pool.query(
      "select 1 from events where payload->>'type' = 'proposal' and payload->'proposal'->>'id' = $1",
      [id],
    );
    expect(rows).toHaveLength(1);
  });

  it('are listed by pages, newest first, also those of one moment', async () => {
    const id = await project();
    const other = await project();
    const all: string[] = [];
    const base = test.plane.deps.now();
    for (const later of [5, 5, 5, 7, 9]) {
      all.push(await insertTestProposal(test.plane.deps, id, DIFF, { now: base + later }));
    }
    await insertTestProposal(test.plane.deps, other, DIFF);
    const seen: string[] = [];
    let cursor: string | null = '';
    let pages = 0;
    while (cursor !== null) {
      const query = `project_id=${id}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { body, headers, status } = await test.call('GET', `/api/runtime/proposals?${query}`);
      expect(status).toBe(200);
      seen.push(...(body as unknown as Proposal[]).map((each) => each.id));
      cursor = headers.get('X-Next-Cursor');
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(seen.slice(0, 2)).toEqual([all[4], all[3]]);
    expect(seen.toSorted()).toEqual(all.toSorted());
    const rejected = await test.call('GET', `/api/runtime/proposals?project_id=${id}&status=rejected`);
    expect(rejected.body).toEqual([]);
    expect((await test.call('GET', '/api/runtime/proposals?cursor=nonsense')).status).toBe(400);
    expect((await test.call('GET', '/api/runtime/proposals?status=unheard-of')).status).toBe(400);
  });

  it('stay rejected, and refuse every other step', async () => {
    const id = await insertTestProposal(test.plane.deps, await project(), DIFF);
    const { status, body } = await test.call('POST', path(id, '/reject'), {
      headers: { 'X-MEMBRIDGE-ADMIN': ADMIN_KEY },
      body: { reason: 'not now' },
    });
    expect([status, body['status'], body['decided_by'], body['detail']]).toEqual([
      200,
      'rejected',
      'admin',
      'rejected by admin: not now',
    ]);
    for (const what of ['/reject', '/approve']) {
      const again = await test.call('POST', path(id, what), { body: {} });
      expect([again.status, again.body['code']]).toEqual([409, 'conflict']);
      expect(again.body['error']).toMatch(/its status is rejected/);
    }
    expect(await audit(id)).toMatchObject([
      { action: 'proposal_created' },
      { action: 'proposal_rejected', actor: 'admin', cause: 'admin rejected it' },
    ]);
    expect((await test.call('POST', path('prop_none', '/approve'), { body: {} })).status).toBe(404);
    expect((await test.call('POST', path('prop_none', '/reject'), { body: {} })).status).toBe(404);
  });

  it('expire after 72 h, and refuse an approval even before the sweep', async () => {
    const { db, now } = test.plane.deps;
    const projectId = await project();
    const old = await insertTestProposal(test.plane.deps, projectId, DIFF, { now: now() - PROPOSAL_WAIT_MS });
    const young = await insertTestProposal(test.plane.deps, projectId, DIFF, {
      now: now() - PROPOSAL_WAIT_MS + 60_000,
    });
    for (const what of ['/approve', '/reject']) {
      const late = await test.call('POST', path(old, what), { body: {} });
      expect([late.status, late.body['error']]).toEqual([
        409,
        expect.stringMatching(/its status is expired, since nobody decided by \d{4}-/),
      ]);
    }
    expect(await expireProposals(db, { now: now() })).toBe(1);
    expect(await expireProposals(db, { now: now() })).toBe(0);
    expect([(await get(old)).status, (await get(young)).status]).toEqual(['expired', 'pending']);
    const again = await test.call('POST', path(old, '/approve'), { body: {} });
    expect([again.status, again.body['error']]).toEqual([
      409,
      expect.stringMatching(/its status is expired/),
    ]);
    expect((await audit(old)).map(({ action, actor }) => [action, actor])).toEqual([
      ['proposal_created', 'maker'],
      ['proposal_expired', 'engine'],
    ]);
  });

  it('accept only one of several simultaneous rejections', async () => {
    const id = await insertTestProposal(test.plane.deps, await project(), DIFF);
    const decide = (what: string) => test.call('POST', path(id, what), { body: {} });
    const answers = await Promise.all(['/reject', '/reject', '/reject', '/reject'].map(decide));
    expect(answers.map(({ status }) => status).filter((status) => status === 409)).toHaveLength(3);
    const decided = (await audit(id)).filter(({ action }) =>
      ['proposal_rejected', 'proposal_approved'].includes(String(action)),
    );
    expect(decided).toHaveLength(1);
  });

  it('record a step only once, and ignore a forbidden one', async () => {
    const { db } = test.plane.deps;
    const id = await insertTestProposal(test.plane.deps, await project(), DIFF);
    const approve = { step: 'approve', by: 'api', runId: 'run' } as const;
    const input = { id, change: approve, cause: 'a test', now: 1, key: 'first' };
    expect((await recordProposal(db, input)).outcome).toBe('recorded');
    expect((await recordProposal(db, input)).outcome).toBe('recorded');
    expect((await recordProposal(db, { ...input, key: 'second' })).outcome).toBe('refused');
    const succeed = { step: 'succeed', commit: 'c', branch: 'main' } as const;
    expect((await recordProposal(db, { ...input, change: succeed })).outcome).toBe('refused');
    expect((await recordProposal(db, { ...input, id: 'none' })).outcome).toBe('missing');
    expect((await audit(id)).map(({ action }) => action)).toEqual(['proposal_created', 'proposal_approved']);
    expect(await get(id)).toMatchObject({ status: 'approved', commit: null });
  });
});
