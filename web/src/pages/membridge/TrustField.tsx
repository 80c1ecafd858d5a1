import { SegmentedControl } from '@mantine/core';
import type { Trust } from '../../../../contract/memory/memory.ts';
import { TRUST } from '../../format/words.ts';
import styles from './Settings.module.css';

const CHOICES = (['accept', 'hold', 'ignore'] as const).map((value) => ({ value, label: TRUST[value] }));

/** What a node does with the memories of each other node. */
export function TrustField(props: {
  peers: readonly string[];
  trust: Readonly<Record<string, Trust>>;
  onChange: (trust: Record<string, Trust>) => void;
}) {
  return (
    <fieldset className={styles.group} data-testid="trust">
      <legend>Memories of other nodes</legend>
      <p>
        Accept merges them. Hold keeps them unmerged until you accept them. Ignore does not fetch them. Merged
        memories stay.
      </p>
      {props.peers.length === 0 && <p>There is no other node yet.</p>}
      <div className={styles.peers}>
        {props.peers.map((peer) => (
          <div key={peer} className={styles.peer}>
            <span className={styles.peerName}>{peer}</span>
            <SegmentedControl
              size="xs"
              data={CHOICES}
              value={props.trust[peer] ?? 'accept'}
              onChange={(level) => props.onChange({ ...props.trust, [peer]: level })}
              aria-label={`Memories of ${peer}`}
              data-testid={`trust-${peer}`}
            />
          </div>
        ))}
      </div>
    </fieldset>
  );
}
