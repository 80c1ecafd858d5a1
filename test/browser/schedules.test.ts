import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { TaskSchedule } from '../../contract/tasks/tasks.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { click, see, startVisitor, type Visitor } from './visitor.ts';

let fleet: Fleet;
let visitor: Visitor;
beforeAll(async () => {
  [fleet, visitor] = await Promise.all([startFleet(), startVisitor()]);
});
afterEach(() => visitor.check());
afterAll(async () => {
  await visitor.close();
  await fleet.stop();
});

const schedules = async (): Promise<TaskSchedule[]> =>
  (await fleet.test.call('GET', '/api/runtime/task-schedules')).body as unknown as TaskSchedule[];

test('makes a schedule with its times in words, pauses it, and deletes it after asking', async () => {
  const page = await visitor.open(fleet.signInLink);
  await see(page, 'live-state', 'Live');
  await page.goto(`${fleet.url}/runtime/settings`);
  await see(page, 'schedules-empty', 'No schedule yet');
  await click(page, 'new-schedule-open');
  await see(page, 'schedule-reading', 'At 03:00');
  await page.getByTestId('schedule-cron').fill('0 8 * * MON-FRI');
  await see(page, 'schedule-reading', 'At 08:00, on Monday to Friday');
  await click(page, 'schedule-submit');
  const form = page.getByTestId('schedule-form');
  await expect.poll(() => form.getByText('Is missing').count()).toBe(2);
  await page.getByTestId('schedule-name').fill('morning');
  await page.getByTestId('task-prompt').fill('Say what changed over night.');
  await page.getByTestId('task-agent').fill('reviewer');
  await click(page, 'schedule-submit');
  await see(page, 'schedule-row-morning', 'Say what changed over night.');
  await see(page, 'schedule-words-morning', 'At 08:00, on Monday to Friday');
  await see(page, 'schedule-row-morning', 'next in');
  expect(await schedules()).toMatchObject([
    { name: 'morning', cron: '0 8 * * MON-FRI', paused: false, task: { agent_slug: 'reviewer' } },
  ]);

  await click(page, 'schedule-on-morning');
  await see(page, 'schedule-row-morning', 'paused');
  await expect.poll(async () => (await schedules())[0]?.paused).toBe(true);
  await click(page, 'schedule-delete-morning');
  await see(page, 'confirm-dialog', 'stops making tasks');
  await click(page, 'confirm-accept');
  await see(page, 'schedules-empty');
  expect(await schedules()).toEqual([]);
});
