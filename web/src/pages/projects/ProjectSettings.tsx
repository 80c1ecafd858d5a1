import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { IconAdjustmentsHorizontal } from '@tabler/icons-react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { Ago } from '../../components/Ago.tsx';
import { Facts } from '../../components/Facts.tsx';
import { Panel } from '../../components/Panel.tsx';
import { counted } from '../../format/numbers.ts';
import { CredentialWords } from './Credential.tsx';
import { EditProject } from './EditProject.tsx';
import { PushWebhook } from './PushWebhook.tsx';
import { findSpaceOf } from './find-space-of.ts';
import { Tags } from './Tags.tsx';

const dim = (text: string) => <span className="dim">{text}</span>;

/** The settings of a project, and the button to change them. */
export function ProjectSettings(props: {
  project: ProjectSummary;
  fleet: readonly Node[];
  spaces: readonly SpaceFacts[];
}) {
  const { project } = props;
  const [opened, { open, close }] = useDisclosure();
  const space = findSpaceOf(project, props.spaces);
  const { credential, aliases, depth } = project;
  return (
    <Panel
      title="Settings"
      testId="project-settings"
      actions={
        <Button
          variant="default"
          size="xs"
          leftSection={<IconAdjustmentsHorizontal size={14} />}
          onClick={open}
          data-testid="project-settings-open"
        >
          Edit
        </Button>
      }
    >
      <Facts
        facts={[
          {
            name: 'Branch',
            value: project.branch === null ? dim('the remote’s default') : <code>{project.branch}</code>,
            testId: 'fact-branch',
          },
          {
            name: 'History',
            value: [
              depth === null ? 'whole' : `the last ${counted(depth, 'commit')}`,
              ...(project.submodules ? ['with submodules'] : []),
            ].join(', '),
            testId: 'fact-history',
          },
          {
            name: 'Target path',
            value:
              project.target_path === null ? dim('the project’s name') : <code>{project.target_path}</code>,
            testId: 'fact-path',
          },
          { name: 'Primary node', value: project.primary_node_id ?? dim('none'), testId: 'fact-primary' },
          {
            name: 'Memory space',
            value:
              space === null ? (
                dim('none')
              ) : (
                <Link to="/membridge" search={{ space: space.canonical_id }} className="link">
                  {space.name}
                </Link>
              ),
            testId: 'fact-space',
          },
          {
            name: 'New nodes',
            value: project.new_nodes ? 'get a clone automatically' : 'are left alone',
            testId: 'fact-new-nodes',
          },
          {
            name: 'Credential',
            value:
              credential === null ? (
                dim('none: the node’s own access')
              ) : (
                <CredentialWords credential={credential} />
              ),
            testId: 'fact-credential',
          },
          {
            name: 'Push webhook',
            value: <PushWebhook project={project} />,
            testId: 'fact-push-webhook',
          },
          { name: 'Tags', value: <Tags tags={project.tags} />, testId: 'fact-tags' },
          { name: 'Created', value: <Ago at={project.created_at} /> },
          ...(aliases.length === 0
            ? []
            : [
                {
                  name: 'Earlier ids',
                  value: aliases.map((alias) => <code key={alias}>{alias} </code>),
                  testId: 'fact-aliases',
                },
              ]),
        ]}
      />
      {opened && <EditProject project={project} fleet={props.fleet} onClose={close} />}
    </Panel>
  );
}
