import { Link } from '@tanstack/react-router';
import styles from '../../components/SectionNav.module.css';

const PAGES = [
  { to: '/runtime/tasks', name: 'Tasks', testId: 'nav-tasks' },
  { to: '/runtime/overview', name: 'Overview', testId: 'nav-overview' },
  { to: '/runtime/proposals', name: 'Proposals', testId: 'nav-proposals' },
  { to: '/runtime/audit', name: 'Audit log', testId: 'nav-audit' },
  { to: '/runtime/settings', name: 'Settings', testId: 'nav-settings' },
] as const;

/** The parts of the Runtime tab. */
export function RuntimeNav() {
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
        </Link>
      ))}
    </nav>
  );
}
