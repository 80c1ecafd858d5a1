import type { ControlPlaneConnection, RuntimeConfig } from '../../../../contract/runtime-config.ts';
import type { Tone } from '../../format/words.ts';

/** How the connection to the control plane is, in a word or two. */
export function connectionWords(config: RuntimeConfig): { label: string; tone: Tone } {
  const { connection } = config;
  if (!config.in_use) return { label: 'Not in use', tone: 'quiet' };
  if (config.membridge_server_url === '') return { label: 'No control plane is set', tone: 'warn' };
  if (connection.connected) return { label: 'Connected', tone: 'good' };
  if (connection.lastError !== null) return { label: 'Not connected', tone: 'bad' };
  return { label: 'Not asked yet', tone: 'quiet' };
}

/** What a circuit does with calls. */
export const CIRCUITS: Record<ControlPlaneConnection['circuit'], { label: string; tone: Tone }> = {
  closed: { label: 'Closed: calls go through', tone: 'good' },
  open: { label: 'Open: after too many failures it is left alone for a while', tone: 'bad' },
  'half-open': { label: 'Half-open: one call looks again', tone: 'warn' },
};
