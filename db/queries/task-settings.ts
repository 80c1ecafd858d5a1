import { eq } from 'drizzle-orm';
import { DEFAULT_TASK_SETTINGS, TaskSettings } from '../../contract/tasks.ts';
import type { Executor } from '../connect.ts';
import { settings } from '../schema.ts';

const KEY = 'task_settings';

/** The settings of tasks; what nobody set has its default. */
export async function readTaskSettings(tx: Executor): Promise<TaskSettings> {
  const [row] = await tx.select({ value: settings.value }).from(settings).where(eq(settings.key, KEY));
  if (row === undefined) return DEFAULT_TASK_SETTINGS;
  return TaskSettings.parse({ ...DEFAULT_TASK_SETTINGS, ...(JSON.parse(row.value) as object) });
}

export async function writeTaskSettings(tx: Executor, value: TaskSettings): Promise<void> {
  const text = JSON.stringify(value);
  await tx
    .insert(settings)
    .values({ key: KEY, value: text })
    .onConflictDoUpdate({ target: settings.key, set: { value: text } });
}
