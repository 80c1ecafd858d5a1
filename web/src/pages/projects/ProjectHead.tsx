import { Menu } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconKey, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectNodeStatus, ProjectSummary } from '../../../../contract/projects/projects.ts';
import { Copy } from '../../components/Copy.tsx';
import { DetailHead } from '../../components/DetailHead.tsx';
import { MoreMenu } from '../../components/MoreMenu.tsx';
import { Credential } from './Credential.tsx';
import { DeleteProject } from './DeleteProject.tsx';
import { EditProject } from './EditProject.tsx';
import { ProjectActions } from './ProjectActions.tsx';
import styles from './ProjectPage.module.css';
import { ProjectStatus } from './ProjectStatus.tsx';

/** The project's name, status and actions. */
export function ProjectHead(props: {
  project: ProjectSummary;
  clones: readonly ProjectNodeStatus[];
  fleet: readonly Node[];
  chosen: readonly string[];
}) {
  const { project } = props;
  return (
    <DetailHead
      short
      title={
        <>
          <h1 data-testid="project-name">{project.name}</h1>
          <ProjectStatus project={project} testId="project-status" />
        </>
      }
      actions={
        <>
          <ProjectActions project={project} clones={props.clones} fleet={props.fleet} chosen={props.chosen} />
          <ProjectMenu project={project} fleet={props.fleet} />
        </>
      }
    >
      <div className={styles.facts}>
        <code data-testid="project-cid">{project.canonical_id}</code>
        <Copy text={project.canonical_id} what="the canonical id" testId="project-copy-cid" />
        <span aria-hidden>·</span>
        <code data-testid="project-address">{project.repo_url}</code>
      </div>
    </DetailHead>
  );
}

function ProjectMenu({ project, fleet }: { project: ProjectSummary; fleet: readonly Node[] }) {
  const [open, setOpen] = useState<'edit' | 'credential' | 'delete' | null>(null);
  const close = () => setOpen(null);
  return (
    <>
      <MoreMenu of={project.name} testId="project-menu">
        <Menu.Item
          leftSection={<IconAdjustmentsHorizontal size={14} />}
          onClick={() => setOpen('edit')}
          data-testid="project-edit"
        >
          Edit…
        </Menu.Item>
        <Menu.Item
          leftSection={<IconKey size={14} />}
          onClick={() => setOpen('credential')}
          data-testid="project-credential"
        >
          Credential…
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          className="danger"
          leftSection={<IconTrash size={14} />}
          onClick={() => setOpen('delete')}
          data-testid="project-delete"
        >
          Delete project…
        </Menu.Item>
      </MoreMenu>
      {open === 'edit' && <EditProject project={project} fleet={fleet} onClose={close} />}
      {open === 'credential' && <Credential project={project} onClose={close} />}
      <DeleteProject project={project} opened={open === 'delete'} onClose={close} />
    </>
  );
}
