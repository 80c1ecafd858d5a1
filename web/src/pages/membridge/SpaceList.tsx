import { Link } from '@tanstack/react-router';
import type { Space } from '../../../../contract/memory.ts';
import type { Node } from '../../../../contract/nodes.ts';
import { Light } from '../../components/Status.tsx';
import type { Tone } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { inStep, membersOf, type Member } from './members.ts';
import styles from './SpaceList.module.css';

/** The spaces by name, each with how many of its nodes are in step. */
export function SpaceList(props: {
  spaces: readonly Space[];
  fleet: Node[] | undefined;
  selected: string | undefined;
}) {
  const now = useNow();
  return (
    <ul className={styles.list} data-testid="space-list">
      {props.spaces.map((space) => {
        const members = membersOf(space, props.fleet ?? []);
        const { inStep: good, of } = inStep(members);
        const current = space.canonical_id === props.selected;
        return (
          <li key={space.canonical_id}>
            <Link
              to="/membridge"
              search={{ space: space.canonical_id }}
              className={styles.space}
              data-selected={current}
              aria-current={current ? 'page' : undefined}
              data-testid={`space-${space.canonical_id}`}
            >
              <span className={styles.name}>{space.name}</span>
              <span className={styles.step} title={`${good} of ${of} nodes in step`}>
                <Light tone={toneOf(members, good, of, now)} />
                <span data-testid={`space-step-${space.canonical_id}`}>
                  {props.fleet === undefined ? '–' : `${good}/${of}`}
                </span>
                <span className="visually-hidden"> nodes in step</span>
              </span>
              <span className={styles.cid}>{space.canonical_id}</span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

/** The light of a space. A sync that waits for a node which is away is no activity. */
function toneOf(members: readonly Member[], good: number, of: number, now: number): Tone {
  const online = members.filter(({ node }) => node !== undefined && presenceOf(node, now) === 'online');
  if (members.some(({ node, record }) => node !== undefined && record.status === 'failed')) return 'bad';
  if (online.some(({ record }) => record.status === 'syncing')) return 'busy';
  return of > 0 && good === of ? 'good' : 'quiet';
}
