import { ActionIcon, Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import type { ReactNode } from 'react';

/** The menu of further actions, at the end of a page's head. */
export function MoreMenu(props: { of: string; testId: string; children: ReactNode }) {
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon
          variant="default"
          size={36}
          aria-label={`More actions for ${props.of}`}
          data-testid={props.testId}
        >
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>{props.children}</Menu.Dropdown>
    </Menu>
  );
}
