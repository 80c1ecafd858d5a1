import { Modal, type ModalProps } from '@mantine/core';
import { useEffect, useState, type ReactNode } from 'react';
import { dialogAttributes } from './dialog-attributes.ts';

/** A dialog that exists while it is open. When it closes, the focus returns to the element that opened it. */
export function Dialog(props: {
  title: ReactNode;
  testId: string;
  size?: ModalProps['size'];
  /** True unless its buttons are the only answers. */
  withCloseButton?: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  useFocusReturn();
  return (
    <Modal
      opened
      onClose={props.onClose}
      title={<strong>{props.title}</strong>}
      size={props.size ?? 'md'}
      withCloseButton={props.withCloseButton ?? true}
      attributes={dialogAttributes(props.testId)}
    >
      {props.children}
    </Modal>
  );
}

/**
 * Returns the focus. Mantine's own waits for a change of `opened`, which never happens in a dialog that mounts and
 * unmounts.
 */
function useFocusReturn(): void {
  // Read during the first render: a menu that opened the dialog disappears right after it.
  const [opener] = useState(() => findOpener(document.activeElement));
  useEffect(
    () => () => {
      window.setTimeout(() => {
        if (document.activeElement !== document.body) return;
        if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
      });
    },
    [opener],
  );
}

/** Returns the element that opened a dialog. A menu item disappears with its menu; then it is the menu's button. */
function findOpener(active: Element | null): Element | null {
  const menu = active?.closest('[role="menu"]') ?? null;
  return menu === null ? active : document.getElementById(menu.getAttribute('aria-labelledby') ?? '');
}
