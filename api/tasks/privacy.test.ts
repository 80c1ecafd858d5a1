import { randomBytes } from 'node:crypto';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parseConfig } from '../config.ts';
import { startControlPlane, type ControlPlane } from '../control-plane.ts';
import { RUNTIME_KEY, freshDatabase, planeEnvironment } from '../../test/support/control-plane.ts';
import { freshNamespace } from '../../test/support/namespace.ts';

const PROMPT = 'a-prompt-that-nobody-else-may-see';
const OUTPUT = 'an-output-that-nobody-else-may-see';

let plane: ControlPlane;
let drop: () => Promise<void>;
const lines: string[] = [];

/** Starts a control plane that logs everything it can. */
beforeAll(async () => {
  const parts = inject('parts');
  const database = await freshDatabase(parts.databaseUrl);
  drop = () => database.drop();
  const namespace = await freshNamespace(parts.temporal.address);
  const env = { ...planeEnvironment(database.url, parts), TEMPORAL_NAMESPACE: namespace };
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  plane = await startControlPlane(parseConfig(env), logger);
});
afterAll(async () => {
  await plane.stop();
  await drop();
});

async function call(method: string, path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${plane.url}/api/runtime/llm-tasks${path}`, {
    method,
    headers: { 'X-Runtime-API-Key': RUNTIME_KEY, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}
/** Returns a workflow's history with its payloads decoded. */
async function historyOf(task: Record<string, unknown>): Promise<string> {
  const handle = plane.deps.engine.client.workflow.getHandle(String(task['workflow_id']));
  const json = historyToJSON(await handle.fetchHistory());
  return json.replaceAll(/"data":\s*"([^"]*)"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
}

describe('the text of prompts and answers', () => {
  it('is in no line of the log, whatever fails', async () => {
    const task = await call('POST', '', { prompt: PROMPT });
    const id = String(task['id']);
    await call('POST', '', { prompt: PROMPT, colour: 'blue' });
    await call('POST', '', { prompt: `${PROMPT}\0` });
    await call('POST', '/batch', {
      tasks: [{ prompt: PROMPT }, { prompt: `${PROMPT}${'x'.repeat(400_000)}` }],
    });
    await call('POST', `/${id}/complete`, { status: 'success', output: OUTPUT });
    await call('POST', `/${id}/lease`, { worker_id: 'w' });
    await call('POST', `/${id}/complete`, { status: 'maybe', output: OUTPUT });
    // PostgreSQL refuses a write, and its error names the row.
    await plane.deps.db.pool.query(
      "alter table llm_results add constraint no check (status = 'none') not valid",
    );
    const ending = call('POST', `/${id}/complete`, { status: 'success', output: OUTPUT });
    await expect
      .poll(() => lines.some((line) => /llm_results|constraint/.test(line)), { timeout: 10_000 })
      .toBe(true);
    await plane.deps.db.pool.query('alter table llm_results drop constraint no');
    expect(await ending).toMatchObject({ status: 200 });
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.filter((line) => line.includes(PROMPT) || line.includes(OUTPUT))).toEqual([]);
  });

  it('is only referenced in a history when it is long, and whole on request', async () => {
    const mark = randomBytes(12).toString('hex');
    const prompt = `${mark}${'ä'.repeat(299_976)}`;
    expect(prompt).toHaveLength(300_000);
    const task = await call('POST', '', { prompt });
    expect(task['status']).toBe('queued');
    expect(await call('GET', `/${String(task['id'])}`, undefined)).toMatchObject({ prompt });
    await call('POST', `/${String(task['id'])}/lease`, { worker_id: 'w' });
    const output = `${mark}${'ö'.repeat(99_976)}`;
    const ended = await call('POST', `/${String(task['id'])}/complete`, { status: 'success', output });
    expect(ended).toMatchObject({ status: 200, artifact: { bytes: 24 + 2 * 99_976 } });
    const history = await historyOf(task);
    expect(history).toContain('"sha256"');
    // A short one is in the history, so the check reads the right place.
    expect(await historyOf(await call('POST', '', { prompt: PROMPT }))).toContain(PROMPT);
    expect(history).not.toContain(mark);
    expect(history.length).toBeLessThan(60_000);
  });
});
