import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { proposalsQuery } from '../../api/task-queries.ts';
import styles from '../../components/SectionNav.module.css';

const PAGES = [
  { to: '/runtime/tasks', name: 'Tasks', testId: 'nav-tasks' },
  { to: '/runtime/overview', name: 'Overview', testId: 'nav-overview' },
  { to: '/runtime/proposals', name: 'Proposals', testId: 'nav-proposals' },
  { to: '/runtime/audit', name: 'Audit log', testId: 'nav-audit' },
  { to: '/runtime/settings', name: 'Settings', testId: 'nav-settings' },
] as const;

/** The parts of the Runtime tab, and how many proposals wait for a person. */
export function RuntimeNav() {
  const pending = useInfiniteQuery(proposalsQuery('pending')).data?.pages[0];
  const waiting = pending === undefined ? 0 : pending.rows.length;
  return (
    <nav className={styles.nav} aria-label="Runtime">
      {PAGES.map(({ to, name, testId }) => (
        <Link
          key={to}
          to={to}
          activeOptions={{ includeSearch: false }}
          className={styles.page}
          data-testid={testId}
        >
          {name}
          {to === '/runtime/proposals' && waiting > 0 && (
            <span className={styles.badge} data-testid="nav-proposals-waiting">
              {pending?.next == null ? waiting : `${waiting}+`}
              <span className="visually-hidden"> to decide</span>
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}
