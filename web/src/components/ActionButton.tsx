import { Button, Tooltip, type ButtonProps } from '@mantine/core';
import type { ReactNode } from 'react';

/**
 * A button that may not be pressed now says why, to the mouse, the keyboard and a screen reader: it stays reachable, and does
 * nothing. `reason` null: it may be pressed.
 */
export function ActionButton(
  props: Omit<ButtonProps, 'disabled'> & {
    reason: string | null;
    /** What pressing it does, where its words leave that open. */
    help?: string;
    label?: string;
    onPress: () => void;
    testId: string;
    children: ReactNode;
  },
) {
  const { reason, help, label, onPress, testId, children, ...rest } = props;
  const told = reason ?? help;
  const button = (
    <Button
      {...rest}
      aria-label={label}
      {...(reason === null ? {} : { 'aria-disabled': true, 'data-disabled': true })}
      onClick={() => {
        if (reason === null) onPress();
      }}
      data-testid={testId}
    >
      {children}
    </Button>
  );
  return told === undefined ? button : <Tooltip label={told}>{button}</Tooltip>;
}
