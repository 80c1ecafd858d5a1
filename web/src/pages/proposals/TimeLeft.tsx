import { absoluteTime, longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';

/** How long there is until a moment; the time in full on hover. */
export function TimeLeft({ at, testId }: { at: number; testId?: string }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={absoluteTime(at)} data-testid={testId}>
      {at > now ? `within ${longSpan(at - now)}` : 'any moment'}
    </time>
  );
}
