/** What `npm run dev` adds to `npm start`: the page with hot reload, and a restart of the API and the agent after a change of the code. */
import { watch } from 'node:fs';
import { join } from 'node:path';
import type { Service } from './service.ts';

/** Folders whose code runs in the control plane, in the agent, or in both. */
const API_FOLDERS = [
  'api',
  'db',
  'gateway',
  'workflows',
  'activities',
  'contract',
  'engine',
  'storage',
  'memory',
];
const AGENT_FOLDERS = ['agent', 'git', 'runner', 'activities', 'contract', 'engine', 'storage', 'memory'];
/** Editors write a file in several steps: a restart waits this long after the last one, in milliseconds. */
const QUIET_MS = 300;

/**
 * Serves the page by Vite, on port 5173 of loopback or the next free one.
 * @param apiUrl where Vite sends calls of the API
 * @returns the address of the page, and how to stop serving it
 */
export async function servePage(
  root: string,
  apiUrl: string,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const [{ createServer }, { proxyTo }] = await Promise.all([
    import('vite'),
    import('../web/vite.config.ts'),
  ]);
  const server = await createServer({
    configFile: join(root, 'web', 'vite.config.ts'),
    logLevel: 'warn',
    server: { proxy: proxyTo(apiUrl) },
  });
  await server.listen();
  const url = server.resolvedUrls?.local[0] ?? '';
  return { url: url.replace(/\/$/, ''), stop: () => server.close() };
}

/**
 * Restarts a service after its code changed. A restart that fails is logged, and the next change tries again.
 * @returns stops watching
 */
export function restartOnChange(
  root: string,
  service: Service,
  kind: 'api' | 'agent',
  log: (line: string) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let turn = Promise.resolve();
  const restart = async (file: string): Promise<void> => {
    log(`${file} changed; restarting the ${kind === 'api' ? 'control plane' : 'agent'} ...`);
    try {
      await service.restart();
    } catch (error) {
      log(error instanceof Error ? error.message : String(error));
    }
  };
  const watchers = (kind === 'api' ? API_FOLDERS : AGENT_FOLDERS).map((folder) =>
    watch(join(root, folder), { recursive: true }, (_event, name) => {
      if (name === null || !/\.(ts|json|sql)$/.test(name) || name.endsWith('.test.ts')) return;
      clearTimeout(timer);
      timer = setTimeout(() => void (turn = turn.then(() => restart(`${folder}/${name}`))), QUIET_MS);
    }),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
