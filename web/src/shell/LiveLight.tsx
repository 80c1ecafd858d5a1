import { Tooltip } from '@mantine/core';
import { Status } from '../components/Status.tsx';
import type { Tone } from '../format/words.ts';
import { span } from '../format/time.ts';
import { useNow } from '../live/clock.ts';
import { useLive, type LiveState } from '../live/live-state.ts';

const STATES: Record<LiveState, { label: string; tone: Tone; help: string }> = {
  connecting: { label: 'Connecting', tone: 'busy', help: 'Opening the live connection.' },
  live: { label: 'Live', tone: 'good', help: 'Every change shows here as it happens.' },
  reconnecting: { label: 'Reconnecting', tone: 'warn', help: 'The live connection is lost. Trying again.' },
  'signed-out': { label: 'Signed out', tone: 'quiet', help: 'The session has ended.' },
};

/** Shows whether the screen is current, and how old it is when it is not. */
export function LiveLight() {
  const { state, freshAt } = useLive();
  const now = useNow();
  const { label, tone, help } = STATES[state];
  const age = state === 'live' || freshAt === null ? null : span(now - freshAt);
  return (
    <Tooltip label={help}>
      <span data-testid="live-light" data-state={state}>
        <span role="status" data-testid="live-state">
          <Status tone={tone}>{label}</Status>
        </span>
        {age !== null && (
          <span className="dim" data-testid="live-age">
            {' '}
            · data {age} old
          </span>
        )}
      </span>
    </Tooltip>
  );
}
