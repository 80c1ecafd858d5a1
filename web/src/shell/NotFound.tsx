import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Logo } from '../components/Logo.tsx';
import { usePageTitle } from '../components/use-page-title.ts';
import styles from './NotFound.module.css';

/** The page for an unknown address. */
export function NotFound() {
  usePageTitle('Not found');
  return (
    <main className={styles.page} data-testid="page-not-found">
      <Logo size={36} />
      <h1>There is no page at this address</h1>
      <p className="dim">
        <code>{window.location.pathname}</code> is not a page of Membridge.
      </p>
      <Button component={Link} to="/membridge" variant="default" data-testid="not-found-home">
        Go to Membridge
      </Button>
    </main>
  );
}
