import { memo, type ReactNode, type Ref } from 'react';
import styles from './Output.module.css';
import type { OutputLine } from './output-lines.ts';

/** The lines of a program's output, in a scrolling box. */
export function OutputLines({
  lines,
  box,
  onScroll,
  children,
}: {
  lines: readonly OutputLine[];
  box?: Ref<HTMLDivElement>;
  onScroll?: () => void;
  /** What is drawn over the lines, at the lower end. */
  children?: ReactNode;
}) {
  const errors = lines.some(({ stream }) => stream === 'stderr');
  return (
    <div className={styles.frame}>
      <div
        ref={box}
        className={styles.box}
        role="log"
        aria-label="Output of the program"
        // Otherwise a screen reader would read every line aloud.
        aria-live="off"
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
        tabIndex={0}
        onScroll={onScroll}
        data-errors={errors}
        data-testid="output"
      >
        {lines.map((line) => (
          <Line key={line.number} line={line} />
        ))}
      </div>
      {children}
    </div>
  );
}

const Line = memo(function Line({ line }: { line: OutputLine }) {
  return (
    <div className={styles.line} data-stream={line.stream}>
      {line.stream === 'stderr' && <span className={styles.mark}>err</span>}
      <span className={styles.text}>{line.text === '' ? ' ' : line.text}</span>
    </div>
  );
});
