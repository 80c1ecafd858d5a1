import { Link } from '@tanstack/react-router';
import type { MemberCounts, SpaceSummary } from '../../../../contract/memory/memory.ts';
import { Light } from '../../components/Status.tsx';
import type { Tone } from '../../format/words.ts';
import styles from './SpaceList.module.css';

/** The spaces by name, each with how many of its nodes are in sync. */
export function SpaceList(props: { spaces: readonly SpaceSummary[]; selected: string | undefined }) {
  return (
    <ul className={styles.list} data-testid="space-list">
      {props.spaces.map((space) => {
        const { enrolled: of, 'in-step': good } = space.members;
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
                <Light tone={spaceTone(space.members)} />
                <span data-testid={`space-step-${space.canonical_id}`}>{`${good}/${of}`}</span>
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

/** The light of a space. A sync that waits for an offline node does not count as activity. */
function spaceTone({ enrolled, failed, held, busy, 'in-step': inStep }: MemberCounts): Tone {
  if (failed > 0) return 'bad';
  if (held > 0) return 'warn';
  if (busy > 0) return 'busy';
  return enrolled > 0 && inStep === enrolled ? 'good' : 'quiet';
}
