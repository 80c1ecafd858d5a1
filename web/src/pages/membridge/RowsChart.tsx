import type { Job } from '../../../../contract/memory/memory.ts';
import { count, counted } from '../../format/numbers.ts';

const MAX_BARS = 32;
/** The fewest bars that show a pattern. */
const MIN_BARS = 8;
const WIDTH = 3;
const GAP = 2;
const HEIGHT = 22;

/**
 * Rows moved by each of the last finished jobs, oldest on the left. The scale is logarithmic, so that small syncs are
 * visible.
 */
export function RowsChart({ jobs }: { jobs: readonly Job[] }) {
  const finished = jobs
    .filter(({ status }) => status === 'completed' || status === 'failed')
    .slice(0, MAX_BARS);
  if (finished.length < MIN_BARS) return null;
  const bars = finished.toReversed().map((job) => ({
    id: job.id,
    rows: job.rows_sent + job.rows_inserted + job.rows_updated + job.rows_deleted,
    failed: job.status === 'failed',
  }));
  const most = Math.max(1, ...bars.map(({ rows }) => rows));
  const total = bars.reduce((sum, { rows }) => sum + rows, 0);
  const label = `Rows moved by the last ${bars.length} jobs: ${count(total)} in all, ${count(most)} at most`;
  return (
    <svg
      role="img"
      aria-label={label}
      width={bars.length * (WIDTH + GAP) - GAP}
      height={HEIGHT}
      data-testid="rows-chart"
      style={{ display: 'block' }}
    >
      {bars.map(({ id, rows, failed }, index) => {
        const height = Math.max(failed ? 7 : 2, (Math.log1p(rows) / Math.log1p(most)) * HEIGHT);
        return (
          <rect
            key={id}
            x={index * (WIDTH + GAP)}
            y={HEIGHT - height}
            width={WIDTH}
            height={height}
            rx={1}
            fill={failed ? 'var(--mb-bad-dot)' : 'var(--mb-accent)'}
            opacity={failed ? 1 : rows > 0 ? 0.75 : 0.3}
          >
            <title>{counted(rows, 'row')}</title>
          </rect>
        );
      })}
    </svg>
  );
}
