import { absoluteTime, ago } from '../format/time.ts';
import { useNow } from '../live/clock.ts';

/** A moment as its age, counting up; the full time on hover. */
export function Ago(props: { at: number | null; never?: string; testId?: string }) {
  const now = useNow();
  if (props.at === null) {
    return (
      <span className="dim" data-testid={props.testId}>
        {props.never ?? 'never'}
      </span>
    );
  }
  return (
    <time
      dateTime={new Date(props.at).toISOString()}
      title={absoluteTime(props.at)}
      data-testid={props.testId}
      style={{ whiteSpace: 'nowrap' }}
    >
      {ago(props.at, now)}
    </time>
  );
}
