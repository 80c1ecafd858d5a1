import { Link } from '@tanstack/react-router';
import { IconArrowUpRight } from '@tabler/icons-react';
import { withBasePath } from '../api/base-path.ts';
import { Logo } from '../components/Logo.tsx';
import { AccountMenu } from './AccountMenu.tsx';
import { LiveLight } from './LiveLight.tsx';
import { ThemeToggle } from './ThemeToggle.tsx';
import styles from './TopBar.module.css';

const TABS = [
  { to: '/runtime', name: 'Runtime' },
  { to: '/membridge', name: 'Membridge' },
  { to: '/nodes', name: 'Nodes' },
] as const;

/** The bar above every page. */
export function TopBar({ temporalUi }: { temporalUi: string | null }) {
  return (
    <header className={styles.bar} data-testid="top-bar">
      <Link to="/membridge" className={styles.word} data-testid="word-mark">
        <Logo />
        MEMBRIDGE
      </Link>
      <nav className={styles.tabs} aria-label="Pages">
        {TABS.map(({ to, name }) => (
          <Link key={to} to={to} className={styles.tab} data-testid={`tab-${name.toLowerCase()}`}>
            {name}
          </Link>
        ))}
      </nav>
      <div className={styles.side}>
        <LiveLight />
        <a
          className={styles.out}
          href={withBasePath('/docs')}
          target="_blank"
          rel="noopener"
          data-testid="link-docs"
        >
          API docs
          <IconArrowUpRight size={13} aria-hidden />
        </a>
        {temporalUi !== null && (
          <a
            className={styles.out}
            href={temporalUi}
            target="_blank"
            rel="noopener noreferrer"
            data-testid="link-temporal"
          >
            Temporal UI
            <IconArrowUpRight size={13} aria-hidden />
          </a>
        )}
        <ThemeToggle />
        <AccountMenu temporalUi={temporalUi} />
      </div>
    </header>
  );
}
