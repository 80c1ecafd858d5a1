import { MembridgeError } from '../../contract/errors.ts';
import type { Deps } from '../deps.ts';
import { requireTarget, readTarget } from './kept-target.ts';
import { askHealth } from './test-connection.ts';

/** How often a runtime-only process checks its control plane, in milliseconds, so that its page is right without visitors. */
const WATCH_MS = 30_000;

/** Watches the connection to the control plane, and logs its changes. @returns a function that stops it */
export function watchRemote(deps: Deps): () => void {
  const { logger, remote } = deps;
  let was: boolean | null = null;
  const look = async (): Promise<void> => {
    const target = await readTarget(deps).catch(() => null);
    if (target === null) return;
    let reason = null;
    try {
      await askHealth(remote, requireTarget(target));
    } catch (error) {
      reason = error instanceof MembridgeError ? error.message : 'unexpected';
      if (!(error instanceof MembridgeError))
        logger.error({ err: error }, 'the watch of the control plane failed');
    }
    const connected = reason === null;
    if (was === connected) return;
    was = connected;
    if (connected) logger.info({ url: target.url }, 'the control plane answers');
    else logger.warn({ url: target.url, reason }, 'the control plane cannot be used');
  };
  void look();
  const timer = setInterval(() => void look(), WATCH_MS);
  return () => clearInterval(timer);
}
