import { Button, Group } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import type { OutputChunk } from '../../../../contract/tasks/runs.ts';
import { keys } from '../../api/keys.ts';
import { CHUNKS_PER_PAGE, taskApi } from '../../api/task-calls.ts';
import { Failure, Loading } from '../../components/Notice.tsx';
import { counted } from '../../format/numbers.ts';
import { appendOutput, NO_OUTPUT, type OutputView } from './output-lines.ts';
import { OutputLines } from './OutputLines.tsx';
import styles from './Output.module.css';

/** How many further lines each press shows. */
const LINES_PER_STEP = 2_000;

/** Returns the lines of the first chunks, about as many as wanted, and whether more chunks are loaded. */
function firstLines(chunks: readonly OutputChunk[], wanted: number): { view: OutputView; hasMore: boolean } {
  let view = NO_OUTPUT;
  for (const chunk of chunks) {
    if (view.cut + view.lines.length >= wanted) return { view, hasMore: true };
    view = appendOutput(view, [chunk]);
  }
  return { view, hasMore: false };
}

/** The output of an attempt from its first line on, read in pages. */
export function OutputFromStart(props: { task: string; epoch: number; onEnd: () => void }) {
  const { task, epoch } = props;
  const output = useInfiniteQuery({
    queryKey: keys.taskOutput(task, epoch),
    queryFn: ({ pageParam, signal }) => taskApi.output(task, epoch, pageParam, signal),
    initialPageParam: -1,
    getNextPageParam: (chunks) => (chunks.length < CHUNKS_PER_PAGE ? undefined : chunks.at(-1)?.seq),
    staleTime: Infinity,
    gcTime: 0,
  });
  const [wanted, setWanted] = useState(LINES_PER_STEP);
  const { view, hasMore } = useMemo(
    () => firstLines((output.data?.pages ?? []).flat(), wanted),
    [output.data, wanted],
  );
  const { hasNextPage, isFetching, fetchNextPage } = output;
  // The loaded chunks have fewer lines than wanted.
  useEffect(() => {
    if (!hasMore && hasNextPage && !isFetching) void fetchNextPage();
  }, [hasMore, hasNextPage, isFetching, fetchNextPage]);
  return (
    <>
      {output.isPending && <Loading what="the output" />}
      {output.error !== null && (
        <Failure what="The output" error={output.error} retry={() => output.refetch()} />
      )}
      {view.cut > 0 && (
        <p className={styles.cut} data-testid="output-cut">
          {counted(view.cut, 'earlier line is', 'earlier lines are')} not shown.
        </p>
      )}
      {view.lines.length > 0 && <OutputLines lines={view.lines} />}
      <Group gap="xs" className={styles.ways}>
        {(hasMore || hasNextPage) && (
          <Button
            variant="default"
            size="xs"
            loading={output.isFetchingNextPage}
            onClick={() => setWanted(wanted + LINES_PER_STEP)}
            data-testid="output-more"
          >
            Show later lines
          </Button>
        )}
        <Button variant="default" size="xs" onClick={props.onEnd} data-testid="output-end">
          Go to the end
        </Button>
      </Group>
    </>
  );
}
