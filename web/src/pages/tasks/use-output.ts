import { useEffect, useState } from 'react';
import { OutputChunk } from '../../../../contract/tasks/runs.ts';
import { outputAddress } from '../../api/task-calls.ts';
import { useTabSeen } from '../../live/use-tab-seen.ts';
import { appendOutput, NO_OUTPUT, type OutputView } from './output-lines.ts';

/** How often chunks are drawn together, in milliseconds. */
const BATCH_MS = 150;
/** Pause before a refused stream is opened again. The browser paces lost connections itself. */
const RETRY_MS = 3_000;

/** `ended`: the attempt is over, and all its output is here. */
export type OutputState = 'connecting' | 'live' | 'reconnecting' | 'ended';

/**
 * Returns the output of one attempt, as it arrives while the tab is visible. Another attempt needs another instance,
 * by a key.
 * @returns the shown lines, the state of the connection, and whether earlier lines exist
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
      // There are lines before the first one here, so what is shown must not end before them.
      opened.addEventListener('skipped', () => {
        setSkipped(true);
        setView(NO_OUTPUT);
      });
      opened.addEventListener('end', () => {
        // Otherwise the browser would reconnect, and receive the same again.
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
