import { ActionIcon } from '@mantine/core';
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react';
import { useState } from 'react';
import { count } from '../format/numbers.ts';
import styles from './Pager.module.css';

/**
 * Shows one page of a list, so that a thousand rows draw as fast as a few.
 * @returns the rows of the current page, and the props of `Pager`
 */
export function usePaged<T>(rows: readonly T[], size: number) {
  const [page, setPage] = useState(0);
  const pager = makePagerProps({ page, setPage, size, total: rows.length });
  return { shown: rows.slice(pager.first, pager.first + size), pager };
}

/** Returns the props of `Pager` for a list with pages from the server. A page beyond the end counts as the last one. */
export function makePagerProps(of: {
  page: number;
  setPage: (page: number) => void;
  size: number;
  total: number;
}) {
  const last = Math.max(0, Math.ceil(of.total / of.size) - 1);
  const page = Math.min(of.page, last);
  return { ...of, page, last, first: page * of.size };
}

/** Steps through the pages; draws nothing for a single page. */
export function Pager({ pager, what }: { pager: ReturnType<typeof makePagerProps>; what: string }) {
  const { page, last, first, size, total, setPage } = pager;
  if (last === 0) return null;
  return (
    <nav className={styles.pager} aria-label={`Pages of ${what}`} data-testid="pager">
      <span data-testid="pager-range">
        {count(first + 1)}–{count(Math.min(first + size, total))} of {count(total)}
      </span>
      <ActionIcon
        variant="default"
        aria-label="Previous page"
        disabled={page === 0}
        onClick={() => setPage(page - 1)}
        data-testid="pager-previous"
      >
        <IconChevronLeft size={15} />
      </ActionIcon>
      <ActionIcon
        variant="default"
        aria-label="Next page"
        disabled={page === last}
        onClick={() => setPage(page + 1)}
        data-testid="pager-next"
      >
        <IconChevronRight size={15} />
      </ActionIcon>
    </nav>
  );
}
