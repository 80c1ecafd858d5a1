import { ActionIcon, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconAdjustmentsHorizontal } from '@tabler/icons-react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { EditNode } from './EditNode.tsx';
import styles from './MemberRow.module.css';

/** The button that opens one node's own settings in a space. */
export function NodeSettings({ space, node }: { space: SpaceFacts; node: string }) {
  const [opened, { open, close }] = useDisclosure();
  const label = `Trust and names of ${node}`;
  return (
    <>
      <Tooltip label="Trust and project names">
        <ActionIcon
          variant="default"
          size={22}
          className={styles.settings ?? ''}
          onClick={open}
          aria-label={label}
          data-testid={`member-settings-${node}`}
        >
          <IconAdjustmentsHorizontal size={13} />
        </ActionIcon>
      </Tooltip>
      {opened && <EditNode space={space} node={node} onClose={close} />}
    </>
  );
}
