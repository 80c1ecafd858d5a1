import { Button, Drawer } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { TaskForm } from './TaskForm.tsx';

/** The way to a new task: a button, and the form beside the list. */
export function NewTask() {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button leftSection={<IconPlus size={15} />} onClick={open} data-testid="new-task-open">
        New task
      </Button>
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        size={640}
        title={<strong>New task</strong>}
        attributes={dialogAttributes('new-task')}
      >
        <TaskForm onCancel={close} />
      </Drawer>
    </>
  );
}
