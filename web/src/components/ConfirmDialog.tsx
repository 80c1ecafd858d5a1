import { Button, Group } from '@mantine/core';
import type { ReactNode } from 'react';
import { Dialog } from './Dialog.tsx';
import styles from './ConfirmDialog.module.css';

/** Asks before something is removed or ended. Stays open while the request runs. `decline` labels the harmless answer. */
export function ConfirmDialog(props: {
  opened: boolean;
  title: string;
  confirm: string;
  decline?: string;
  busy: boolean;
  onConfirm: () => void;
  onCancel: () => void;
  children: ReactNode;
}) {
  if (!props.opened) return null;
  return (
    <Dialog title={props.title} testId="confirm-dialog" onClose={props.onCancel} withCloseButton={false}>
      <div className={styles.body}>{props.children}</div>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={props.onCancel} data-autofocus data-testid="confirm-cancel">
          {props.decline ?? 'Cancel'}
        </Button>
        <Button color="red.8" loading={props.busy} onClick={props.onConfirm} data-testid="confirm-accept">
          {props.confirm}
        </Button>
      </Group>
    </Dialog>
  );
}
