import { join } from 'node:path';
import { readAgentConfig } from '../agent/config.ts';
import { chooseSandbox } from '../agent/tasks/sandbox.ts';
import type { ControlPlane } from './fleet.ts';

/** Returns each machine's program for tasks, and how many it runs at the same time; one machine also has a label. */
export function taskSettings(root: string, machine: string): Record<string, string> {
  return {
    MEMBRIDGE_RUNNER: JSON.stringify([process.execPath, join(root, 'demo', 'assistant.ts')]),
    MEMBRIDGE_MAX_CONCURRENCY: '2',
    ...(machine === 'server' ? { MEMBRIDGE_LABELS: 'night' } : {}),
  };
}

/**
 * Chooses where the demo's tasks run: in a sandbox where there can be one. The demo's machines are beside the
 * server's keys, so without a sandbox they would take no tasks. But their only program is the demo's own, so the demo
 * allows that.
 * @returns the value of MEMBRIDGE_TASK_SANDBOX for its agents
 */
export function sandboxSetting(dataDir: string, env: NodeJS.ProcessEnv, log: (line: string) => void): string {
  const wanted = env['MEMBRIDGE_TASK_SANDBOX'];
  if (wanted !== undefined && wanted !== '') return wanted;
  const { told } = chooseSandbox(readAgentConfig({ MEMBRIDGE_AGENT_DATA_DIR: dataDir }));
  if (told.mode === 'bubblewrap') return 'auto';
  log('no sandbox works here, so the demo runs its own program for tasks without one');
  return 'none';
}

/**
 * Makes tasks to look at on the page: some that complete, one that fails, one that no node may take, one that waits
 * for another.
 */
export async function makeDemoTasks(control: ControlPlane): Promise<void> {
  const task = async (prompt: string, body: Record<string, unknown> = {}): Promise<string> =>
    await control.makeTask({ prompt, auto_dispatch: true, ...body });
  const review = await task(
    'Read the login form and its tests, and say in three sentences what would break if the session were kept in the URL.',
    { agent_slug: 'reviewer', context_id: 'login-form', tags: ['review'] },
  );
  await task('Now write the test that would have caught it.', {
    agent_slug: 'reviewer',
    context_id: 'login-form',
    depends_on: [review],
    tags: ['review'],
  });
  await task('Rebuild the search index, and tell how long each step took.', {
    agent_slug: 'keeper',
    pool: 'night',
    priority: 4,
  });
  await task('Fail, so that there is something to requeue.', { agent_slug: 'keeper', max_attempts: 2 });
  await task('Train the small model on last week’s notes.', { agent_slug: 'trainer', pool: 'gpu' });
}
