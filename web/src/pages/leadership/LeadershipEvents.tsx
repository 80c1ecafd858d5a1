import { Button } from '@mantine/core';
import { useState } from 'react';
import type { LeadershipEvent } from '../../../../contract/memory/leadership.ts';
import { Ago } from '../../components/Ago.tsx';
import { Light } from '../../components/Status.tsx';
import styles from './Leadership.module.css';
import { ACTOR_WORDS, eventWords } from './lease.ts';

/** How many are shown at first. */
const SHOWN_AT_FIRST = 1;

/** The changes of leadership, newest first. */
export function LeadershipEvents({ events }: { events: readonly LeadershipEvent[] }) {
  const [all, setAll] = useState(false);
  const sorted = events.toSorted((a, b) => b.at - a.at || b.epoch - a.epoch);
  const shown = all ? sorted : sorted.slice(0, SHOWN_AT_FIRST);
  if (sorted.length === 0) return null;
  return (
    <>
      <ol className={styles.events} aria-label="Changes of leadership" data-testid="leadership-events">
        {shown.map((event) => (
          <li key={`${event.epoch} ${event.event} ${event.at}`}>
            <Light tone={event.event === 'selected' ? 'good' : 'quiet'} />
            <span>
              {eventWords(event, events)}
              <span className="dim">
                {' '}
                · epoch {event.epoch} · <Ago at={event.at} /> {ACTOR_WORDS[event.by] ?? `by ${event.by}`}
              </span>
            </span>
          </li>
        ))}
      </ol>
      {sorted.length > SHOWN_AT_FIRST && (
        <Button
          variant="subtle"
          color="gray"
          size="compact-xs"
          onClick={() => setAll(!all)}
          aria-expanded={all}
          data-testid="leadership-events-all"
        >
          {all ? 'Show the newest' : `Show all ${sorted.length}`}
        </Button>
      )}
    </>
  );
}
