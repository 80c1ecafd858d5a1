import { Button, Tooltip, type ButtonProps } from '@mantine/core';
import type { ReactNode } from 'react';

/** A tooltip for people who use a keyboard or touch, too. */
const TOOLTIP_EVENTS = { hover: true, focus: true, touch: true } as const;

/**
 * A button that explains why it is disabled, to the mouse, the keyboard and a screen reader. It stays focusable and
 * does nothing. With `reason` null it is enabled.
 */
export function ActionButton(
  props: Omit<ButtonProps, 'disabled'> & {
    reason: string | null;
    /** What the button does, where its label leaves that open. */
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
    <Tooltip label={told} events={TOOLTIP_EVENTS}>
      {button}
    </Tooltip>
  );
}
