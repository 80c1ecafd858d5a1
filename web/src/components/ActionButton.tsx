import { Button, Tooltip, type ButtonProps } from '@mantine/core';
import type { ReactNode } from 'react';

/** What is said reaches also those who come by keyboard or touch. */
const ON = { hover: true, focus: true, touch: true } as const;

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
  if (told === undefined) return button;
  return (
    <Tooltip label={told} events={ON}>
      {button}
    </Tooltip>
  );
}
