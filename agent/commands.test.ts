import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalId } from '../contract/memory/canonical-id.ts';
import type { Job } from '../contract/memory/memory.ts';
import { waitUntil } from '../demo/fleet.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { certificateKey } from '../memory/format/layout.ts';
import { parseSealingPublicKey } from '../memory/format/sealing.ts';
import { startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { startTestMachine, type TestMachine } from '../test/support/agent-machine.ts';

const CID = canonicalId('everything');

let folder: string;
let test: TestPlane;
let a: TestMachine;
let b: TestMachine;
let dry: TestMachine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-commands-'));
  test = await startTestPlane();
  await test.call('POST', '/api/membridge/spaces', { body: { name: 'everything', projects: ['*'] } });
  const env = { MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS: '2' };
  [a, b, dry] = await Promise.all([
    startTestMachine(test, { folder, id: 'a', observations: 90, env }),
    startTestMachine(test, { folder, id: 'b', env }),
    startTestMachine(test, { folder, id: 'dry', env: { ...env, MEMBRIDGE_AGENT_DRYRUN: '1' } }),
  ]);
  await waitUntil('both have all', 60, () => a.observations() === 114 && b.observations() === 114);
});

afterAll(async () => {
  for (const machine of [a, b, dry]) {
    await machine.service.stop();
    machine.db.close();
  }
  await test.stop();
  rmSync(folder, { recursive: true, force: true });
});

const post = async (
  path: string,
  body: unknown,
  accept: string,
): Promise<{ status: number; type: string; text: string }> => {
  const response = await fetch(`${a.url}${path}`, {
    method: 'POST',
    headers: { 'X-MEMBRIDGE-AGENT': a.key(), 'Content-Type': 'application/json', Accept: accept },
    body: JSON.stringify(body),
  });
  const type = response.headers.get('Content-Type') ?? '';
  return { status: response.status, type, text: await response.text() };
};

describe('membridge deletes', () => {
  const lose = (): void => {
    a.db.prepare('DELETE FROM observations WHERE id IN (SELECT id FROM observations LIMIT 60)').run();
  };

  it('says when nothing is held', async () => {
    expect(await a.cli('deletes')).toMatchObject({ code: 0, stdout: 'No deletions are held back.\n' });
    expect((await a.cli('doctor')).stdout).toContain('ok      deletions: No deletions are held back.');
  });

  it('restore brings back what was lost by accident', async () => {
    lose();
    const failed = await a.cli('sync');
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.stdout).toMatch(/60 memories are gone from .*Nothing was sent.*membridge deletes approve/);
    expect((await a.cli('deletes')).stdout).toMatch(/60 memories are gone/);
    const doctor = await a.cli('doctor');
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/FAILED {2}deletions: 60 memories are gone/);
    await waitUntil('the page shows it', 20, async () => {
      const { body } = await test.call('GET', '/api/runtime/workers/a');
      return /60 memories are gone/.test(String((body['memory'] as { detail: unknown }).detail));
    });
    expect(JSON.parse((await a.cli('deletes', 'restore', '--json')).stdout)).toMatchObject({
      answer: 'restore',
      deletes: 60,
    });
    await waitUntil('a has all again', 60, () => a.observations() === 114);
    expect(b.observations()).toBe(114);
    expect((await a.cli('doctor')).code).toBe(0);
  });

  it('approve deletes them on every node, and the job says so', async () => {
    lose();
    await a.cli('push');
    expect((await a.cli('deletes', 'approve')).stdout).toMatch(/^60 deletions are approved/);
    await waitUntil('b has deleted them too', 60, () => b.observations() === 54);
    await waitUntil('its job says so', 20, async () => {
      const { body } = await test.call('GET', '/api/membridge/jobs?node=b');
      const jobs = body as unknown as Job[];
      return jobs.some((job) => job.rows_deleted === 60 && job.detail.includes('removed 60 rows'));
    });
    expect(a.observations()).toBe(54);
  });

  it('only reports in a dry run what it would do', async () => {
    expect((await dry.cli('deletes', 'approve')).stdout).toMatch(/^\[DRYRUN\] Would run deletes/);
    expect(JSON.parse((await dry.cli('keys', 'rotate', '--json')).stdout)).toMatchObject({ dryrun: true });
  });
});

describe('membridge audit', () => {
  it('compares every row, or only the newest ones', async () => {
    const total = ['sdk_sessions', 'user_prompts', 'observations', 'session_summaries']
      .map((table) => a.db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number)
      .reduce((sum, rows) => sum + rows);
    expect(await a.cli('audit')).toMatchObject({
      code: 0,
      stdout: `${total} rows compared: 0 changed, 0 deleted since they were sent\n`,
    });
    expect(JSON.parse((await a.cli('audit', '--recent', '--json')).stdout)).toMatchObject({ deleted: 0 });
  });

  it('answers in lines on request, and in one piece otherwise', async () => {
    const whole = await post('/audit', {}, 'application/json');
    expect(JSON.parse(whole.text)).toMatchObject({ changed: 0 });
    const lines = await post('/audit', {}, 'application/x-ndjson');
    expect(lines.type).toMatch(/^application\/x-ndjson/);
    expect(JSON.parse(lines.text.trim().split('\n').at(-1) ?? '')).toMatchObject({ result: { changed: 0 } });
  });

  it('names the field that is wrong', async () => {
    const answer = await post('/audit', { deep: 'very' }, 'application/x-ndjson');
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('deep');
  });
});

describe('membridge keys rotate', () => {
  it('publishes a new key; the node reads what others encrypt for it, and what they encrypted before', async () => {
    await test.call('PATCH', `/api/membridge/spaces/${CID}`, { body: { encrypted: true } });
    const published = async (): Promise<string> => {
      const bytes = await test.plane.deps.store.get(certificateKey(CID, 'b'));
      const keys = JSON.parse(String(bytes)) as { sealing: { public_key: string } };
      return parseSealingPublicKey(keys.sealing.public_key).keyId;
    };
    await waitUntil('b has it', 20, async () =>
      (await b.cli('status', '--json')).stdout.includes('"encrypted":true'),
    );
    const former = await published();
    const { stdout } = await b.cli('keys', 'rotate', '--json');
    const { key_id } = JSON.parse(stdout) as { key_id: string };
    expect(key_id).not.toBe(former);
    await waitUntil('the new key is published', 30, async () => (await published()) === key_id);
    a.remember('For the new key');
    const known = b.db.prepare("SELECT count(*) FROM observations WHERE title = 'For the new key'").pluck();
    await waitUntil('b can read it', 60, () => known.get() === 1);
  });
});

describe('help', () => {
  it('lists every command, and describes each', async () => {
    const { stdout } = await a.cli('--help');
    for (const name of ['sync', 'status', 'doctor', 'audit', 'deletes', 'keys']) {
      expect(stdout).toMatch(new RegExp(`^ {2}membridge ${name} `, 'm'));
    }
    expect((await a.cli('deletes', '--help')).stdout).toMatch(/approve {3}they were deleted on purpose/);
    expect(await a.cli('deletes', 'perhaps')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('approve or restore'),
    });
    expect(await a.cli('sync', '--recent')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--recent is not an option of "sync"'),
    });
  });
});

describe('what the memory engine can do beside syncing', () => {
  it('blame names the node that wrote a memory', async () => {
    const id = b.db.prepare('SELECT min(id) FROM observations').pluck().get() as number;
    const { stdout, code } = await b.cli('blame', 'observation', String(id));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^memory {3}[0-9a-f]{64}\nwritten {2}by [ab], told at 20/);
    expect(await b.cli('blame', 'thought', '1')).toMatchObject({ code: 2 });
  });

  it('revoke takes back what a node wrote, on every node, and gives it back', async () => {
    const since = new Date().toISOString();
    const count = a.observations();
    writeHistory(b.db, { name: 'poison', seed: 9, observations: 12, from: Date.UTC(2026, 3, 1) });
    await waitUntil('a has what b wrote', 60, () => a.observations() === count + 12);
    const before = [a.observations(), b.observations()];
    const tried = await a.cli('revoke', '--node', 'b', '--since', since, '--dry-run');
    expect(tried.stdout).toMatch(/^\d+ memories and 0 changes would be taken back/);
    expect([a.observations(), b.observations()]).toEqual(before);
    const unasked = await a.cli('revoke', '--node', 'b', '--since', since);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toMatch(/since 20.* which is 20.* UTC, by the clock of b\n/);
    expect(unasked.stderr).toMatch(
      /\d+ memories and 0 changes would be taken back\n.*add --yes\. Nothing was changed/,
    );
    expect([a.observations(), b.observations()]).toEqual(before);
    const done = await a.cli('revoke', '--node', 'b', '--since', since, '--yes');
    expect(done.stderr).toMatch(
      /since 20.* UTC, by the clock of b\n\d+ memories and 0 changes would be taken back/,
    );
    const id = /--undo ([0-9a-f]+)/.exec(done.stdout)?.[1] ?? '';
    const left = a.observations();
    expect(left).toBe(count);
    await waitUntil('b has none of it', 60, () => b.observations() === left);
    expect((await a.cli('revoke', '--list')).stdout).toContain(`${id}  b since`);
    expect((await a.cli('revoke', '--undo', id)).stdout).toMatch(/given back/);
    await waitUntil('b has it again', 60, () => b.observations() === before[1]);
    expect(a.observations()).toBe(before[0]);
  });

  it.each(['yesterday 5', '2026-02-30 10:00'])(
    'revoke and restore refuse %j for a time, and say how to write one',
    async (text) => {
      const count = a.observations();
      const revoked = await a.cli('revoke', '--node', 'b', '--since', text, '--yes');
      expect(revoked).toMatchObject({ code: 2, stdout: '' });
      expect(revoked.stderr).toMatch(/--since: .*(2026-11-22 18:00|calendar|time of day|not come yet)/);
      const restored = await a.cli('restore', '--at', text, '--in-place', '--yes');
      expect(restored).toMatchObject({ code: 2, stdout: '' });
      expect(restored.stderr).toMatch(/--at: /);
      expect(a.observations()).toBe(count);
    },
  );

  it('revoke takes epoch milliseconds by HTTP, without a question', async () => {
    const what = { node: 'b', since: Date.now(), dryRun: false };
    const answer = await post('/revoke', { what }, 'application/json');
    expect(JSON.parse(answer.text)).toMatchObject({ id: expect.any(String) as string });
  });

  it('snapshot and collect say what they did', async () => {
    await a.cli('sync');
    expect((await a.cli('snapshot')).stdout).toMatch(/^snapshot .*: \d+ memories in 1 parts/);
    expect((await a.cli('collect')).stdout).toMatch(/^0 segments and 0 snapshots removed/);
    expect(await a.cli('snapshot', '--project', 'nothing')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('takes part in no space "nothing"') as string,
    });
  });

  it('restore builds a file and leaves the database alone', async () => {
    const out = join(folder, 'as-it-was.db');
    const { stdout, stderr, code } = await a.cli('restore', '--at', new Date().toISOString(), '--out', out);
    expect(stdout).toMatch(/as-it-was\.db: \d+ memories/);
    expect(stderr).toMatch(/^as of 20.*, which is 20.* UTC\n/);
    expect(code).toBe(0);
    expect(await a.cli('restore', '--at', 'yesterday-ish', '--out', out)).toMatchObject({ code: 2 });
    expect(await a.cli('restore', '--at', new Date().toISOString(), '--out', out)).toMatchObject({ code: 1 });
    const inPlace = ['restore', '--at', new Date().toISOString(), '--in-place'];
    expect((await a.cli(...inPlace, '--dry-run')).stdout).toMatch(
      /^\d+ memories would be there: \d+ would come back, \d+ would go\n$/,
    );
    const unasked = await a.cli(...inPlace);
    expect(unasked.stderr).toMatch(/^as of 20.* UTC\n/);
    expect(unasked).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/would be there.*[^]*add --yes/),
    });
    expect((await a.cli(...inPlace, '--yes')).stderr).toMatch(/open/);
    expect(readdirSync(join(a.home, '.membridge')).filter((name) => name.includes('trial'))).toEqual([]);
  });

  it('doctor names the database, why it is that one, and that its location is safe', async () => {
    const { stdout, code } = await a.cli('doctor');
    expect(code).toBe(0);
    const path = join(a.home, '.claude-mem', 'claude-mem.db');
    expect(stdout).toContain(`ok      database: ${path}, because no setting names another folder`);
    expect(stdout).toContain('ok      place: ');
    expect(stdout).toContain('ok      full-text search: its indexes fit the rows');
    expect(stdout).toContain('ok      foreign keys: every row has its session');
    expect(stdout).not.toContain('vector search');
    expect((await a.cli('doctor', '--fix')).stdout).toContain('Nothing needs repair.');
  });

  it('doctor --fix mends a damaged full-text index after a question, and memories travel again', async () => {
    b.db.unsafeMode(true);
    b.db.exec('DELETE FROM observations_fts_data WHERE id = 10; DROP TABLE session_summaries_fts_docsize');
    b.db.unsafeMode(false);
    const before = b.observations();
    const found = await b.cli('doctor');
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(
      /FAILED {2}full-text search: observations_fts is damaged: its record 10 is missing.*doctor --fix/,
    );
    expect(found.stdout).toMatch(
      /session_summaries_fts is damaged: its table session_summaries_fts_docsize is missing/,
    );
    const unasked = await b.cli('doctor', '--fix');
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('add --yes') as string });
    expect((await b.cli('doctor')).code).toBe(1);
    const fixed = await b.cli('doctor', '--fix', '--yes');
    expect(fixed.stdout).toMatch(/observations_fts was made again from the rows of observations in [\d.]+ s/);
    expect(fixed.stdout).toMatch(/session_summaries_fts was made again/);
    expect(fixed.code).toBe(0);
    expect(b.observations()).toBe(before);
    b.remember('After the mend');
    const there = a.db.prepare(`SELECT count(*) FROM observations WHERE title = 'After the mend'`).pluck();
    await waitUntil('a has it', 60, () => there.get() === 1);
  });

  it('doctor notes rows without a session, and names a moved or damaged setting and a synced folder', async () => {
    const settings = join(dry.home, '.claude-mem', 'settings.json');
    const kept = readFileSync(settings);
    dry.db.pragma('foreign_keys = OFF');
    dry.db.exec(`UPDATE observations SET memory_session_id = 'nowhere' WHERE id = 1`);
    mkdirSync(join(dry.home, '.claude-mem', '.stfolder'));
    writeFileSync(settings, '{"CLAUDE_MEM_DATA_DIR": "~/moved"}');
    const moved = await dry.cli('doctor');
    expect(moved.code).toBe(1);
    expect(moved.stdout).toMatch(/note {4}foreign keys: 1 rows of observations have no session here/);
    expect(moved.stdout).toMatch(
      /FAILED {2}database: .*settings\.json names its folder: .*moved\/claude-mem\.db\. Restart/,
    );
    expect(moved.stdout).toMatch(/FAILED {2}place: .* lies in a Syncthing folder, .*CLAUDE_MEM_DATA_DIR/);
    writeFileSync(settings, '{"CLAUDE_MEM_DATA_DIR": "~/mov');
    expect((await dry.cli('doctor')).stdout).toMatch(/FAILED {2}database: .*settings\.json cannot be used/);
    writeFileSync(settings, kept);
  });

  it('doctor store races the store and records the result', async () => {
    expect((await a.cli('doctor', 'store')).stdout).toMatch(/If-None-Match: \*: holds/);
    expect((await a.cli('doctor')).stdout).toContain('conditional writes: If-None-Match holds');
  });
});

describe('a space that covers nothing of this database', () => {
  it('is reported in push, status, doctor, coverage, the job and the list of nodes', async () => {
    const { body } = await test.call('POST', '/api/membridge/spaces', { body: { name: 'mem2' } });
    const cid = String(body['canonical_id']);
    await waitUntil('a takes part in it', 20, async () => (await a.cli('status')).stdout.includes(cid));
    const hint =
      /the space covers none of this node's claude-mem projects \(.+\): add them to what it covers/;
    const pushed = await a.cli('push', '--project', 'mem2');
    expect(pushed.stdout).toMatch(/^ok {6}mem2: sent 0 rows, /);
    expect(pushed.stdout).toMatch(hint);
    const { stdout } = await a.cli('status');
    expect(stdout).toMatch(new RegExp(`mem2 \\(${cid}\\): mem2\\n +${hint.source}`));
    expect(stdout.match(new RegExp(hint.source, 'g'))).toHaveLength(1);
    expect((await a.cli('doctor')).stdout).toMatch(new RegExp(`ok {6}coverage: mem2: ${hint.source}`));
    expect((await a.cli('coverage')).stdout).toMatch(/^everything: the space covers memories/m);
    const { body: jobs } = await test.call('GET', '/api/membridge/jobs?node=a&project=mem2');
    expect((jobs as unknown as Job[])[0]?.detail).toMatch(hint);
    const shown = await test.call('GET', `/api/membridge/spaces/${cid}`);
    const nodes = shown.body['nodes'] as { node_id: string; detail: string }[];
    expect(nodes.find(({ node_id }) => node_id === 'a')?.detail).toMatch(hint);
  });
});
