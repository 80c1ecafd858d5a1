import { ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taskScheduleId } from '../../contract/names.ts';
import { setTaskSchedule } from '../../engine/task-schedules.ts';
import { startTestPlane, type Answer, type TestPlane } from '../support/control-plane.ts';

const SOON = { timeout: 20_000, interval: 100 };
const path = '/api/runtime/task-schedules';
/** Never while a test runs. */
const RARELY = '0 0 29 2 *';

let test: TestPlane;
beforeAll(async () => {
  test = await startTestPlane();
});
afterAll(async () => await test.stop());

const call = (method: string, what = '', body?: unknown): Promise<Answer> =>
  test.call(method, `${path}${what}`, body === undefined ? {} : { body });
async function make(name: string, more: object = {}): Promise<string> {
  const { status, body } = await call('POST', '', { name, cron: RARELY, task: { prompt: 'water' }, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return String(body['id']);
}
const handle = (id: string) => test.plane.deps.engine.client.schedule.getHandle(taskScheduleId(id));
const audit = async (id: string): Promise<Record<string, unknown>[]> => {
  const { rows } = await test.plane.deps.db.pool.query<Record<string, unknown>>(
    'select action, actor, detail from audit_logs where entity_id = $1 order by id',
    [id],
  );
  return rows;
};
const tasksOf = async (id: string): Promise<Record<string, unknown>[]> => {
  const { rows } = await test.plane.deps.db.pool.query<Record<string, unknown>>(
    'select id, status, dispatched, created_by from llm_tasks where schedule_id = $1',
    [id],
  );
  return rows;
};

describe('a task schedule', () => {
  it('makes a task each time, dispatched, and overlapping ones', async () => {
    const id = await make('each');
    expect((await call('GET', `/${id}`)).body).toMatchObject({ paused: false, last_task_id: null });
    expect(Number((await call('GET', `/${id}`)).body['next_at'])).toBeGreaterThan(Date.now());
    expect((await handle(id).describe()).policies.overlap).toBe(ScheduleOverlapPolicy.ALLOW_ALL);
    await handle(id).trigger();
    await expect
      .poll(() => tasksOf(id), SOON)
      .toMatchObject([{ status: 'queued', dispatched: true, created_by: 'schedule' }]);
    const [first] = await tasksOf(id);
    await expect
      .poll(async () => (await call('GET', `/${id}`)).body['last_task_id'], SOON)
      .toBe(first?.['id']);
    // Its id has the second in it.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await handle(id).trigger();
    await expect.poll(() => tasksOf(id), SOON).toHaveLength(2);
  });

  it('makes one task for one occasion, however often it is asked', async () => {
    const id = await make('once');
    const { client } = test.plane.deps.engine;
    const start = () =>
      client.workflow.execute('runTaskSchedule', {
        workflowId: `once:${id}`,
        taskQueue: 'control',
        args: [{ scheduleId: id }],
      });
    const task: unknown = await start();
    await call('PATCH', `/${id}`, { task: { prompt: 'something else' } });
    expect(await start()).toBe(task);
    expect(await tasksOf(id)).toHaveLength(1);
  });

  it('says in the audit log that its project was deleted, and ends', async () => {
    const project = await test.call('POST', '/api/runtime/projects', {
      body: { name: 'gone', repo_url: 'https://git.example.org/gone' },
    });
    const id = await make('of a project', { task: { prompt: 'x', project_id: project.body['id'] } });
    await test.call('DELETE', `/api/runtime/projects/${String(project.body['id'])}`);
    const made = await test.plane.deps.engine.client.workflow.execute('runTaskSchedule', {
      workflowId: `gone:${id}`,
      taskQueue: 'control',
      args: [{ scheduleId: id }],
    });
    expect(made).toBeNull();
    expect((await audit(id)).at(-1)).toMatchObject({
      action: 'task_schedule_failed',
      actor: 'engine',
      detail: expect.stringContaining('there is no project') as string,
    });
  });

  it('is paused, changed, recreated when Temporal lost it, and removed', async () => {
    const id = await make('changes', { paused: true });
    expect((await call('GET', `/${id}`)).body).toMatchObject({ paused: true, next_at: null });
    const changed = await call('PATCH', `/${id}`, { paused: false, cron: '0 1 * * *' });
    expect(changed.body).toMatchObject({ paused: false, cron: '0 1 * * *', name: 'changes' });
    expect(new Date(Number(changed.body['next_at'])).getUTCHours()).toBe(1);
    await handle(id).delete();
    const { engine } = test.plane.deps;
    await setTaskSchedule(engine.client, { id, name: 'changes', cron: '0 1 * * *', paused: false });
    expect((await handle(id).describe()).state.paused).toBe(false);
    expect((await call('DELETE', `/${id}`)).status).toBe(200);
    expect((await call('GET', `/${id}`)).status).toBe(404);
    await expect(handle(id).describe()).rejects.toThrow(/not found/i);
    expect((await audit(id)).map(({ action, actor }) => [action, actor])).toEqual([
      ['task_schedule_created', 'api'],
      ['task_schedule_updated', 'api'],
      ['task_schedule_deleted', 'api'],
    ]);
  });

  it('is refused where its name is taken, its cron means nothing, or its template names what is not there', async () => {
    await make('taken');
    const task = { prompt: 'x' };
    expect((await call('POST', '', { name: 'taken', cron: RARELY, task })).status).toBe(409);
    const cron = await call('POST', '', { name: 'cron', cron: '99 * * * *', task });
    expect([cron.status, cron.body['fields']]).toMatchObject([400, [{ field: 'cron' }]]);
    const project = { prompt: 'x', project_id: 'proj_none' };
    const missing = await call('POST', '', { name: 'missing', cron: RARELY, task: project });
    expect([missing.status, missing.body['fields']]).toMatchObject([400, [{ field: 'task.project_id' }]]);
    const names = ((await call('GET')).body as unknown as { name: string }[]).map(({ name }) => name);
    expect(names).toContain('taken');
    expect(names).not.toContain('cron');
    expect((await call('PATCH', '/sched_none', { paused: true })).status).toBe(404);
  });
});
