import { absoluteTime, longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';

/** The time left until a moment; the full time on hover. */
export function TimeLeft({ at, testId }: { at: number; testId?: string }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={absoluteTime(at)} data-testid={testId}>
      {at > now ? `within ${longSpan(at - now)}` : 'any moment'}
    </time>
  );
}
