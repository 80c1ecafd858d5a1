import { Button, Select } from '@mantine/core';
import { IconArrowDown } from '@tabler/icons-react';
import { useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { counted } from '../../format/numbers.ts';
import { isEnded } from '../../format/task-words.ts';
import type { Tone } from '../../format/words.ts';
import styles from './Output.module.css';
import { OutputFromStart } from './OutputFromStart.tsx';
import { OutputLines } from './OutputLines.tsx';
import { useOutput, type OutputState } from './use-output.ts';

/** A distance from the end, in pixels, that counts as the end. */
const NEAR_END_PX = 24;

const STATES: Record<OutputState, { label: string; tone: Tone }> = {
  connecting: { label: 'Connecting', tone: 'busy' },
  live: { label: 'Live', tone: 'good' },
  reconnecting: { label: 'Reconnecting', tone: 'warn' },
  ended: { label: 'Ended', tone: 'quiet' },
};

/** The live output of a task's program; of the newest attempt unless another one is chosen. */
export function Output({ task }: { task: Task }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const epoch = chosen ?? task.epoch;
  const isOver = epoch < task.epoch || isEnded(task);
  if (task.epoch === 0) return null;
  const attempts = Array.from({ length: task.epoch }, (_, index) => ({
    value: String(task.epoch - index),
    label: `Attempt ${task.epoch - index}`,
  }));
  return (
    <OutputOfAttempt
      // Another attempt starts over, and so does one that continues after its end was reported.
      key={`${epoch} ${isOver}`}
      task={task.id}
      epoch={epoch}
      isOver={isOver}
      choice={
        task.epoch > 1 && (
          <Select
            size="xs"
            w={130}
            aria-label="Output of"
            data={attempts}
            value={String(epoch)}
            onChange={(value) => setChosen(value === null ? null : Number(value))}
            allowDeselect={false}
            data-testid="output-attempt"
          />
        )
      }
    />
  );
}

function OutputOfAttempt(props: { task: string; epoch: number; isOver: boolean; choice: ReactNode }) {
  const { isOver } = props;
  const { view, state, isSkipped } = useOutput(props.task, props.epoch);
  const [fromStart, setFromStart] = useState(false);
  const { lines, cut } = view;
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  // After every render, since it may have added lines.
  useLayoutEffect(() => {
    const element = box.current;
    if (following && element !== null) element.scrollTop = element.scrollHeight;
  });
  const scrolled = () => {
    const element = box.current;
    if (element === null) return;
    setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight <= NEAR_END_PX);
  };
  // All output arrives immediately, and then the server still waits for late chunks.
  const { label, tone } = STATES[isOver && state === 'live' ? 'ended' : state];
  return (
    <Panel
      title="Output"
      note={
        <span role="status">
          <Status tone={tone} testId="output-state">
            {label}
          </Status>
        </span>
      }
      actions={props.choice}
      flush
      testId="output-panel"
    >
      {fromStart ? (
        <OutputFromStart task={props.task} epoch={props.epoch} onEnd={() => setFromStart(false)} />
      ) : (
        <>
          {(cut > 0 || isSkipped) && (
            <p className={styles.cut} data-testid="output-cut">
              {isSkipped ? 'Earlier lines are' : counted(cut, 'earlier line is', 'earlier lines are')} not
              shown. After the attempt, the log artifact has all lines.{' '}
              <Button
                variant="default"
                size="compact-xs"
                onClick={() => setFromStart(true)}
                data-testid="output-beginning"
              >
                Show from the beginning
              </Button>
            </p>
          )}
          {lines.length === 0 ? (
            <p className={styles.none} data-testid="output-none">
              {state === 'ended' ? NO_OUTPUT_TEXT : isOver ? 'Loading the output…' : 'No output yet.'}
            </p>
          ) : (
            <OutputLines lines={lines} box={box} onScroll={scrolled}>
              {!following && (
                <Button
                  size="compact-sm"
                  className={styles.follow}
                  leftSection={<IconArrowDown size={14} />}
                  onClick={() => setFollowing(true)}
                  data-testid="output-follow"
                >
                  {isOver ? 'Go to the end' : 'Follow'}
                </Button>
              )}
            </OutputLines>
          )}
        </>
      )}
    </Panel>
  );
}

const NO_OUTPUT_TEXT =
  'There is no live output of this attempt. It wrote nothing, or only the log artifact still has it.';
