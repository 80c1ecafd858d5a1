import { Chip } from '@mantine/core';
import { useDeferredValue, useMemo, useState } from 'react';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { FilterInput } from '../../components/FilterInput.tsx';
import { Empty } from '../../components/Notice.tsx';
import { Pager, usePaged } from '../../components/Pager.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { findProjects, listTags } from './project-list.ts';
import { ProjectRow } from './ProjectRow.tsx';
import styles from './Projects.module.css';

const PAGE_SIZE = 50;
const COLUMNS = [
  { name: 'Project' },
  { name: 'Status' },
  { name: 'Nodes' },
  { name: 'Clones' },
  { name: 'Primary' },
  { name: 'Tags' },
] as const;

/** Every managed project, filtered by name, address or tag. */
export function ProjectsTable(props: {
  projects: readonly ProjectSummary[];
  /** How many nodes there are; null while unknown. */
  fleetSize: number | null;
  tag: string | undefined;
  onTag: (tag: string | undefined) => void;
}) {
  const { projects, tag, onTag } = props;
  const [typed, setTyped] = useState('');
  const text = useDeferredValue(typed);
  const tags = useMemo(() => listTags(projects), [projects]);
  const found = useMemo(() => findProjects(projects, { typed: text, tag }), [projects, text, tag]);
  const { shown, pager } = usePaged(found, PAGE_SIZE);

  return (
    <Panel
      title="All projects"
      testId="projects-panel"
      flush
      actions={
        <>
          {tags.length > 0 && (
            <div className={styles.tagFilter} role="group" aria-label="Show projects with the tag">
              {tags.map((each) => (
                <Chip
                  key={each}
                  size="xs"
                  variant="light"
                  checked={each === tag}
                  onChange={(on) => onTag(on ? each : undefined)}
                  data-testid={`tag-filter-${each}`}
                >
                  {each}
                </Chip>
              ))}
            </div>
          )}
          <FilterInput what="projects" value={typed} onChange={setTyped} testId="projects-filter" />
        </>
      }
    >
      {found.length === 0 ? (
        <Empty title="No project matches" testId="projects-no-match">
          {text.trim() === '' ? `None has the tag “${tag ?? ''}”.` : `Nothing here contains “${text}”.`}
        </Empty>
      ) : (
        <Table label="Projects" columns={COLUMNS} testId="projects-table">
          {shown.map((project) => (
            <ProjectRow key={project.id} project={project} fleetSize={props.fleetSize} />
          ))}
        </Table>
      )}
      <Pager pager={pager} what="projects" />
    </Panel>
  );
}
