import { Link } from '@tanstack/react-router';
import type { Space } from '../../../../contract/memory.ts';
import type { Node } from '../../../../contract/nodes.ts';
import { Light } from '../../components/Status.tsx';
import type { Tone } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { inStep, membersOf, recordAt, type Member } from './members.ts';
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
        const { inStep: good, of } = inStep(members, space, now);
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
                <Light tone={toneOf(members, space, now)} />
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
function toneOf(members: readonly Member[], space: Space, now: number): Tone {
  const enrolled = members.filter(({ node }) => node !== undefined);
  const states = enrolled.map((member) => ({ member, state: recordAt(member, space, now).status }));
  if (states.some(({ state }) => state === 'failed')) return 'bad';
  if (states.some(({ state }) => state === 'held')) return 'warn';
  const isOnline = ({ node }: Member): boolean => node !== undefined && presenceOf(node, now) === 'online';
  if (states.some(({ member, state }) => isOnline(member) && state === 'syncing')) return 'busy';
  return states.length > 0 && states.every(({ state }) => state === 'in-step') ? 'good' : 'quiet';
}
