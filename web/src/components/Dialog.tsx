import { Modal, type ModalProps } from '@mantine/core';
import { useEffect, useState, type ReactNode } from 'react';
import { dialogAttributes } from './dialog-attributes.ts';

/** A dialog that is rendered for as long as it is open. When it goes, the focus returns to what opened it. */
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

/** Mantine's own return of the focus waits for `opened` to change, which it never does for a dialog that comes and goes. */
function useFocusReturn(): void {
  // While the dialog is first drawn: a menu that opened it is gone right after.
  const [opener] = useState(() => openerOf(document.activeElement));
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

/** What somebody pressed to open a dialog. The entry of a menu goes with its menu: then it is the menu's button. */
function openerOf(active: Element | null): Element | null {
  const menu = active?.closest('[role="menu"]') ?? null;
  return menu === null ? active : document.getElementById(menu.getAttribute('aria-labelledby') ?? '');
}
