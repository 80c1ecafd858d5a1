import { ActionIcon, Menu, useMantineColorScheme } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { IconBook, IconDeviceDesktop, IconDots, IconHierarchy2, IconLogout } from '@tabler/icons-react';
import { withBasePath } from '../api/base-path.ts';
import { api } from '../api/calls.ts';
import { notifyFailure } from '../components/notify.ts';

/** Rarely used entries: external links, the system's theme, and signing out. */
export function AccountMenu({ temporalUi }: { temporalUi: string | null }) {
  const { setColorScheme } = useMantineColorScheme();
  const cache = useQueryClient();
  const router = useRouter();
  const signOut = useMutation({
    mutationFn: api.signOut,
    onSuccess: async () => {
      await router.navigate({ to: '/signin' });
      cache.clear();
    },
    onError: (error) => notifyFailure('Still signed in', error),
  });
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="md" aria-label="Menu" data-testid="account-menu">
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          component="a"
          href={withBasePath('/docs')}
          target="_blank"
          rel="noopener"
          leftSection={<IconBook size={14} />}
        >
          API docs
        </Menu.Item>
        {temporalUi !== null && (
          <Menu.Item
            component="a"
            href={temporalUi}
            target="_blank"
            rel="noopener noreferrer"
            leftSection={<IconHierarchy2 size={14} />}
          >
            Temporal UI
          </Menu.Item>
        )}
        <Menu.Item
          leftSection={<IconDeviceDesktop size={14} />}
          onClick={() => setColorScheme('auto')}
          data-testid="theme-system"
        >
          Use the system’s theme
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={14} />}
          onClick={() => signOut.mutate()}
          data-testid="sign-out"
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
