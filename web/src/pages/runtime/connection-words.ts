import type { ControlPlaneConnection, RuntimeConfig } from '../../../../contract/runtime-config.ts';
import type { Tone } from '../../format/words.ts';

/** The state of the connection to the control plane, in a word or two. */
export function connectionWords(config: RuntimeConfig): { label: string; tone: Tone } {
  const { connection } = config;
  if (!config.in_use) return { label: 'Not in use', tone: 'quiet' };
  if (config.membridge_server_url === '') return { label: 'No control plane is set', tone: 'warn' };
  if (connection.connected) return { label: 'Connected', tone: 'good' };
  if (connection.lastError !== null) return { label: 'Not connected', tone: 'bad' };
  return { label: 'Not asked yet', tone: 'quiet' };
}

/** How a circuit treats calls. */
export const CIRCUITS: Record<ControlPlaneConnection['circuit'], { label: string; tone: Tone }> = {
  closed: { label: 'Closed: calls are sent', tone: 'good' },
  open: { label: 'Open: after too many failures, no calls are sent for a while', tone: 'bad' },
  'half-open': { label: 'Half-open: one call tries again', tone: 'warn' },
};
