import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { Failure } from '../components/Notice.tsx';
import styles from './NotFound.module.css';

/** Replaces a page that could not start, usually because the server does not answer. */
export function PageFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const retry = async () => {
    reset();
    await router.invalidate();
  };
  return (
    <main className={styles.page} data-testid="page-failure">
      <Failure
        what="Membridge"
        error={error instanceof Error ? error : new Error(String(error))}
        retry={retry}
      />
    </main>
  );
}
