import { Button, Drawer } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { makeIdempotencyKey, type NewTaskForm } from './new-task-form.ts';
import { EMPTY_TASK } from './task-draft.ts';
import { TaskForm } from './TaskForm.tsx';

/** The button of a new task, and its form beside the list. */
export function NewTask() {
  const [opened, { open, close }] = useDisclosure();
  // Kept while the form is closed: a click beside it loses no prompt.
  const [making, setMaking] = useState<NewTaskForm>(() => ({ draft: EMPTY_TASK, key: makeIdempotencyKey() }));
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
        <TaskForm making={making} onChange={setMaking} onCancel={close} />
      </Drawer>
    </>
  );
}
