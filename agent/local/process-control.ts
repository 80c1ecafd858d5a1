import { MembridgeError } from '../../contract/errors.ts';
import type { Agent } from '../agent.ts';

/** The process waits this long before it ends, in milliseconds, so that its answer is sent first. */
const ANSWER_MS = 200;

const BY_HAND = {
  'self-update': 'Update the checkout on this machine and run ./install.sh agent there.',
  uninstall: 'Stop and disable its service on this machine (docs/install.md).',
} as const;

/**
 * Does what the original's agent did to its own service, as far as a service can: restart. A service that updates or
 * removes itself ends before it has finished, so for these the error names the command to run by hand.
 * @param restart ends the agent so that its service manager starts it again
 * @throws MembridgeError conflict, saying what to do by hand
 */
export function controlProcess(
  { config, log }: Pick<Agent, 'config' | 'log'>,
  action: 'self-update' | 'restart' | 'uninstall',
  restart: () => void,
): Record<string, unknown> {
  if (config.dryrun) return { ok: true, dryrun: true, detail: `[DRYRUN] Would ${action} this agent` };
  if (action !== 'restart') {
    throw new MembridgeError(
      'conflict',
      `A service that does this to itself ends half-way. ${BY_HAND[action]}`,
    );
  }
  if (process.env['INVOCATION_ID'] === undefined) {
    throw new MembridgeError(
      'conflict',
      'No service manager started this agent, so nothing would start it again. Restart it as you started it.',
    );
  }
  log.info('a caller asked for a restart over HTTP');
  setTimeout(restart, ANSWER_MS);
  return { ok: true, method: 'exit', detail: 'The agent ends now, and its service manager starts it again.' };
}
