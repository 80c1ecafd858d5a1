import type { ServerEvent } from '../../../contract/events.ts';

/** For each running fetch, the events that arrived since it began: the list may have been read before them. */
const open = new Set<ServerEvent[]>();

export const journal = {
  /** Records events for every running fetch. */
  note(events: readonly ServerEvent[]): void {
    for (const page of open) page.push(...events);
  },

  /**
   * Fetches a list and applies the events that arrived during the fetch, so that a slow answer never undoes a newer
   * event.
   * @throws whatever the fetch throws
   */
  async during<T>(fetchList: () => Promise<T>, apply: (list: T, events: ServerEvent[]) => T): Promise<T> {
    const page: ServerEvent[] = [];
    open.add(page);
    try {
      return apply(await fetchList(), page);
    } finally {
      open.delete(page);
    }
  },
};
