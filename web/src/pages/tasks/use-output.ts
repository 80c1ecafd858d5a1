import { useEffect, useState } from 'react';
import { OutputChunk } from '../../../../contract/tasks/runs.ts';
import { outputAddress } from '../../api/task-calls.ts';
import { useTabSeen } from '../../live/use-tab-seen.ts';
import { appendOutput, NO_OUTPUT, type OutputView } from './output-lines.ts';

/** Pieces are drawn together this often, in milliseconds. */
const BATCH_MS = 150;
/** Pause before a stream that the server refused is tried again. The browser paces lost connections itself. */
const RETRY_MS = 3_000;

/** `ended`: the attempt is over, and all that it wrote is here. */
export type OutputState = 'connecting' | 'live' | 'reconnecting' | 'ended';

/**
 * What one attempt at a task writes, as it comes while somebody looks at the tab. The caller gives another attempt another instance, by a key.
 * @returns what is shown, how the connection is, and whether there are lines before the first that came
 */
export function useOutput(
  task: string,
  epoch: number,
): { view: OutputView; state: OutputState; isSkipped: boolean } {
  const [view, setView] = useState<OutputView>(NO_OUTPUT);
  const [isSkipped, setSkipped] = useState(false);
  const [state, setState] = useState<OutputState>('connecting');
  const isSeen = useTabSeen();
  useEffect(() => {
    if (!isSeen) return;
    let source: EventSource | null = null;
    let waiting: OutputChunk[] = [];
    let batch: ReturnType<typeof setTimeout> | null = null;
    let retry: ReturnType<typeof setTimeout> | null = null;
    const flush = () => {
      batch = null;
      const chunks = waiting;
      waiting = [];
      setView((before) => appendOutput(before, chunks));
    };
    const open = () => {
      const opened = new EventSource(outputAddress(task, epoch));
      source = opened;
      opened.addEventListener('open', () => setState('live'));
      opened.addEventListener('message', ({ data }: MessageEvent<string>) => {
        waiting.push(OutputChunk.parse(JSON.parse(data)));
        batch ??= setTimeout(flush, BATCH_MS);
      });
      // There are lines before those that it begins with; what is shown must not end before them.
      opened.addEventListener('skipped', () => {
        setSkipped(true);
        setView(NO_OUTPUT);
      });
      opened.addEventListener('end', () => {
        // Else the browser would come back, and be told the same again.
        opened.close();
        setState('ended');
      });
      opened.addEventListener('error', () => {
        if (opened.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
        setState('reconnecting');
      });
    };
    open();
    return () => {
      source?.close();
      if (batch !== null) clearTimeout(batch);
      if (retry !== null) clearTimeout(retry);
    };
  }, [task, epoch, isSeen]);
  return { view, state, isSkipped };
}
