import { ActionIcon, Tooltip } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { notifyFailure } from './notify.ts';

/** A small button that copies a text. `what` names it for people: "Copy the canonical id". */
export function Copy({ text, what, testId }: { text: string; what: string; testId: string }) {
  const clipboard = useClipboard({ timeout: 1_500 });
  const label = clipboard.copied ? 'Copied' : `Copy ${what}`;
  const copy = () => {
    // Browsers offer the clipboard only over HTTPS and on loopback.
    if (window.isSecureContext) clipboard.copy(text);
    else
      notifyFailure(
        'Not copied',
        new Error('The browser allows copying only over HTTPS. Select the text instead.'),
      );
  };
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        onClick={copy}
        aria-label={label}
        data-testid={testId}
      >
        {clipboard.copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
      </ActionIcon>
    </Tooltip>
  );
}
