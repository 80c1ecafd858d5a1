import { Button } from '@mantine/core';
import styles from './LoadMore.module.css';

/** The way to the next page of a list that comes a page at a time; draws nothing at the end. */
export function LoadMore(props: {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  /** What is loaded: `tasks`. */
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
