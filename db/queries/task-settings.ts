import { eq } from 'drizzle-orm';
import { DEFAULT_TASK_SETTINGS, TaskSettings } from '../../contract/tasks/tasks.ts';
import type { Executor } from '../connect.ts';
import { settings } from '../schema.ts';

const SETTING_KEY = 'task_settings';

/** How long settings are cached, in milliseconds: each task reads them several times. */
const CACHE_MS = 1_000;

let cachedSettings: { value: TaskSettings; until: number } | null = null;

/** Returns the settings, at most a second old: changes by another process appear a second later. */
export async function cachedTaskSettings(tx: Executor): Promise<TaskSettings> {
  if (cachedSettings === null || cachedSettings.until < Date.now()) {
    cachedSettings = { value: await readTaskSettings(tx), until: Date.now() + CACHE_MS };
  }
  return cachedSettings.value;
}

/** Returns the settings of tasks, with defaults for those that are not set. */
export async function readTaskSettings(tx: Executor): Promise<TaskSettings> {
  const [row] = await tx
    .select({ value: settings.value })
    .from(settings)
    .where(eq(settings.key, SETTING_KEY));
  if (row === undefined) return DEFAULT_TASK_SETTINGS;
  return TaskSettings.parse({ ...DEFAULT_TASK_SETTINGS, ...(JSON.parse(row.value) as object) });
}

export async function writeTaskSettings(tx: Executor, value: TaskSettings): Promise<void> {
  cachedSettings = null;
  const text = JSON.stringify(value);
  await tx
    .insert(settings)
    .values({ key: SETTING_KEY, value: text })
    .onConflictDoUpdate({ target: settings.key, set: { value: text } });
}
