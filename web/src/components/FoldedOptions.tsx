import { Button, Collapse } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconChevronRight } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import styles from './FoldedOptions.module.css';

/** Optional fields of a form, collapsed until somebody needs them or one is wrong. */
export function FoldedOptions(props: {
  /** Whether one of the fields was refused. */
  wrong: boolean;
  unfolded?: boolean;
  testId: string;
  children: ReactNode;
}) {
  const [opened, { toggle }] = useDisclosure(props.unfolded ?? false);
  const shown = opened || props.wrong;
  return (
    <div>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        leftSection={<IconChevronRight size={14} className={styles.chevron} data-open={shown} />}
        onClick={toggle}
        aria-expanded={shown}
        className={styles.fold}
        data-testid={props.testId}
      >
        Options
      </Button>
      <Collapse expanded={shown}>
        <div className={styles.options}>{props.children}</div>
      </Collapse>
    </div>
  );
}
