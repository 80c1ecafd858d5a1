import { notifications } from '@mantine/notifications';
import { isSignedOut, errorSentence } from '../api/problem.ts';

const closeButtonProps = { 'aria-label': 'Dismiss' };

/** Shows a notification that something was done. */
export function notifyDone(title: string, message?: string): void {
  notifications.show({
    title,
    message,
    color: 'teal',
    withBorder: true,
    closeButtonProps,
    'data-testid': 'toast-done',
  });
}

/** Shows a notification that something failed, and why. An ended session gets none: it leads to the sign-in page. */
export function notifyFailure(title: string, error: unknown): void {
  if (isSignedOut(error)) return;
  notifications.show({
    title,
    message: errorSentence(error),
    color: 'red',
    withBorder: true,
    closeButtonProps,
    autoClose: 12_000,
    role: 'alert',
    'data-testid': 'toast-failure',
  });
}
