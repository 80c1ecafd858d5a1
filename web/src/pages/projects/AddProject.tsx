import { Button, Modal } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectFacts } from '../../../../contract/projects/projects.ts';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { AddedProject } from './AddedProject.tsx';
import { AddProjectForm } from './AddProjectForm.tsx';

/** The form of a new project, and then its first steps. */
export function AddProject({ fleet }: { fleet: readonly Node[] }) {
  const [opened, { open, close }] = useDisclosure();
  const [added, setAdded] = useState<ProjectFacts | null>(null);
  return (
    <>
      <Button
        leftSection={<IconPlus size={15} />}
        onClick={() => {
          setAdded(null);
          open();
        }}
        data-testid="add-project-open"
      >
        Add project
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title={<strong>{added === null ? 'Add a project' : `${added.name} was added`}</strong>}
        size="lg"
        attributes={dialogAttributes('add-project-dialog')}
      >
        {added === null ? (
          <AddProjectForm fleet={fleet} onAdded={setAdded} onCancel={close} />
        ) : (
          <AddedProject project={added} fleet={fleet} onClose={close} />
        )}
      </Modal>
    </>
  );
}
