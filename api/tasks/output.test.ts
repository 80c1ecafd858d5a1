import { afterAll, beforeAll, expect, test } from 'vitest';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

const PIECES = 3_000;

let api: TestPlane;
let id: string;
/** Makes an ended task whose program wrote two lines in each of 3,000 chunks. */
beforeAll(async () => {
  api = await startTestPlane();
  const made = await api.call('POST', '/api/runtime/llm-tasks', {
    body: { context_id: 'ctx', agent_slug: 'default', prompt: 'write much' },
  });
  expect(made.status).toBe(201);
  id = String(made.body['id']);
  const { pool } = api.plane.deps.db;
  await pool.query(`update llm_tasks set status = 'completed', epoch = 1 where id = $1`, [id]);
  await pool.query(
    `insert into task_output (task_id, epoch, seq, stream, at, text)
     select $1, 1, n, 'stdout', $2::bigint, 'line ' || 2 * n || E'\\nline ' || 2 * n + 1 || E'\\n' from generate_series(0, ${PIECES - 1}) n`,
    [id, Date.now()],
  );
});
afterAll(async () => await api.stop());

/** Reads a stream to its end. */
async function stream(query: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.plane.url}/api/runtime/llm-tasks/${id}/output/stream${query}`, {
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY, ...headers },
  });
  expect(response.status).toBe(200);
  const text = await response.text();
  const seqs = [...text.matchAll(/^id: 1\.(\d+)$/gm)].map(([, seq]) => Number(seq));
  const skipped = /^event: skipped\ndata: (.*)$/m.exec(text)?.[1];
  return { seqs, skipped: skipped === undefined ? null : (JSON.parse(skipped) as unknown), text };
}

test('begins with the last lines when a tail is requested, and reports what it skipped', async () => {
  const { seqs, skipped, text } = await stream('?epoch=1&tail=1000');
  expect(seqs).toEqual(Array.from({ length: 501 }, (_, n) => PIECES - 501 + n));
  expect(skipped).toEqual({ after: PIECES - 502 });
  expect(text.indexOf('event: skipped')).toBeLessThan(text.indexOf('id: 1.'));
  expect(text).toContain(`line ${2 * PIECES - 1}`);
});

test.each([
  ['without a tail', '?epoch=1'],
  ['with a tail that is longer than the output', '?epoch=1&tail=10000'],
])('begins with the first line %s', async (_what, query) => {
  const { seqs, skipped } = await stream(query);
  expect({ first: seqs[0], all: seqs.length, skipped }).toEqual({ first: 0, all: PIECES, skipped: null });
});

test('continues from a returning client’s position, whatever tail it requests', async () => {
  const { seqs, skipped } = await stream('?epoch=1&tail=1000', { 'Last-Event-ID': '1.10' });
  expect({ first: seqs[0], all: seqs.length, skipped }).toEqual({
    first: 11,
    all: PIECES - 11,
    skipped: null,
  });
});

test('refuses a tail that is not a number of lines', async () => {
  const path = `/api/runtime/llm-tasks/${id}/output/stream`;
  for (const tail of ['0', '10001', 'x']) {
    expect((await api.call('GET', `${path}?tail=${tail}`)).status).toBe(400);
  }
});
