import { Button } from '@mantine/core';
import styles from './LoadMore.module.css';

/** The button that loads the next page of a list; draws nothing at the end. */
export function LoadMore(props: {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  /** What it loads: `tasks`. */
  what: string;
  testId: string;
}) {
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = props.list;
  if (!hasNextPage) return null;
  return (
    <div className={styles.more}>
      <Button
        variant="default"
        size="xs"
        loading={isFetchingNextPage}
        onClick={() => void fetchNextPage()}
        data-testid={props.testId}
      >
        Load more {props.what}
      </Button>
    </div>
  );
}
