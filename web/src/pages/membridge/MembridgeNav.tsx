import { Link } from '@tanstack/react-router';
import styles from '../../components/SectionNav.module.css';

/** The two parts of the Membridge tab: the memories that nodes share, and the repositories that they work on. */
export function MembridgeNav() {
  return (
    <nav className={styles.nav} aria-label="Membridge">
      <Link
        to="/membridge"
        activeOptions={{ exact: true, includeSearch: false }}
        className={styles.page}
        data-testid="nav-spaces"
      >
        Memory spaces
      </Link>
      <Link
        to="/membridge/projects"
        activeOptions={{ includeSearch: false }}
        className={styles.page}
        data-testid="nav-projects"
      >
        Projects
      </Link>
    </nav>
  );
}
