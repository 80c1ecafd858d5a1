import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { Copy } from '../../components/Copy.tsx';
import { Panel } from '../../components/Panel.tsx';
import { count, counted } from '../../format/numbers.ts';
import styles from './TaskPage.module.css';

/** The most lines and characters of a prompt that is shown in full. */
const SHORT_LINES = 8;
const SHORT_CHARS = 700;

/** The prompt as it was written, with the hints that precede it. */
export function Prompt({ task }: { task: Task }) {
  const { prompt, context_hints: hints } = task;
  const isShort = prompt.length <= SHORT_CHARS && prompt.split('\n').length <= SHORT_LINES;
  const [opened, { toggle }] = useDisclosure(false);
  const folded = !isShort && !opened;
  return (
    <Panel
      title="Prompt"
      note={
        hints.length === 0
          ? `${count(prompt.length)} characters`
          : `${count(prompt.length)} characters, after ${counted(hints.length, 'context hint')}`
      }
      actions={
        <>
          {!isShort && (
            <Button
              variant="subtle"
              color="gray"
              size="compact-sm"
              aria-expanded={opened}
              onClick={toggle}
              data-testid="prompt-toggle"
            >
              {opened ? 'Show less' : 'Show all'}
            </Button>
          )}
          <Copy text={prompt} what="the prompt" testId="prompt-copy" />
        </>
      }
      flush
      testId="prompt-panel"
    >
      {hints.length > 0 && (
        <p className={styles.note} data-testid="prompt-hints">
          Context hints: {hints.join(' · ')}
        </p>
      )}
      <Text text={prompt} label="Prompt" folded={folded} testId="prompt" />
    </Panel>
  );
}

/** A text as it is, never read as markup; a long one scrolls within itself. */
export function Text(props: { text: string; label: string; folded?: boolean; testId: string }) {
  const folded = props.folded === true;
  return (
    <pre
      className={styles.text}
      data-folded={folded}
      aria-label={props.label}
      // A scrollable region must be reachable by keyboard.
      {...(folded ? {} : { role: 'group', tabIndex: 0 })}
      data-testid={props.testId}
    >
      {props.text}
    </pre>
  );
}
