import { Link } from '@tanstack/react-router';
import type { Space } from '../../../../contract/memory.ts';
import type { Node } from '../../../../contract/nodes.ts';
import { Light } from '../../components/Status.tsx';
import type { Tone } from '../../format/words.ts';
import { inStep, membersOf, type Member } from './members.ts';
import styles from './SpaceList.module.css';

/** The spaces by name, each with how many of its nodes are in step. */
export function SpaceList(props: {
  spaces: readonly Space[];
  fleet: Node[] | undefined;
  selected: string | undefined;
}) {
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
                <Light tone={toneOf(members, good, of)} />
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

function toneOf(members: readonly Member[], good: number, of: number): Tone {
  const statuses = members.filter(({ node }) => node !== undefined).map(({ record }) => record.status);
  if (statuses.includes('failed')) return 'bad';
  if (statuses.includes('syncing')) return 'busy';
  return of > 0 && good === of ? 'good' : 'quiet';
}
