import { IconArrowUpRight } from '@tabler/icons-react';
import styles from './History.module.css';

/** A link to a workflow's complete history in the Temporal UI; nothing while its address is unknown. `of` names the work. */
export function History({ url, of, testId }: { url: string | null; of: string; testId: string }) {
  if (url === null) return null;
  return (
    <a
      className={styles.history}
      href={url}
      target="_blank"
      rel="noopener noreferrer"
      aria-label={`History of ${of} in the Temporal UI`}
      data-testid={testId}
    >
      history
      <IconArrowUpRight size={12} aria-hidden />
    </a>
  );
}
