import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectNodeStatus, ProjectSummary } from '../../../../contract/projects/projects.ts';
import { clonesQuery, projectsQuery } from '../../api/project-queries.ts';
import { enrolledNodesQuery, spacesQuery } from '../../api/queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { useNow } from '../../live/clock.ts';
import { LeadershipCard } from '../leadership/LeadershipCard.tsx';
import { MembridgeNav } from '../membridge/MembridgeNav.tsx';
import { buildMatrix } from './matrix.ts';
import { NodeMatrix } from './NodeMatrix.tsx';
import { ProjectHead } from './ProjectHead.tsx';
import { ProjectMemory } from './ProjectMemory.tsx';
import styles from './ProjectPage.module.css';
import { ProjectSettings } from './ProjectSettings.tsx';
import { Schedules } from './Schedules.tsx';
import { findSpaceOf } from './find-space-of.ts';

/** One managed project, found by its id, its canonical id, or a former one. */
export function ProjectPage() {
  const { project: asked } = useParams({ from: '/shell/membridge/projects/$project' });
  const projects = useQuery(projectsQuery);
  const nodes = useQuery(enrolledNodesQuery);
  const project =
    projects.data?.find(({ id }) => id === asked) ??
    projects.data?.find(({ canonical_id, aliases }) => canonical_id === asked || aliases.includes(asked));
  usePageTitle(project?.name ?? 'Projects');

  return (
    <div className="page" data-testid="page-project">
      <MembridgeNav />
      {projects.isPending && <Loading what="the project" />}
      {projects.data === undefined && projects.error !== null && (
        <Failure what="The project" error={projects.error} retry={projects.refetch} />
      )}
      {projects.data !== undefined && project === undefined && (
        <Empty title="There is no such project" testId="project-missing">
          It may have been deleted. “Projects” above lists all projects.
        </Empty>
      )}
      {project !== undefined && nodes.data === undefined && nodes.error !== null && (
        <Failure what="The nodes" error={nodes.error} retry={nodes.refetch} />
      )}
      {project !== undefined && nodes.data !== undefined && (
        <ProjectClones key={project.id} project={project} fleet={nodes.data} />
      )}
    </div>
  );
}

function ProjectClones({ project, fleet }: { project: ProjectSummary; fleet: Node[] }) {
  const clones = useQuery(clonesQuery(project.id));
  if (clones.data !== undefined) {
    return <ProjectDetail project={project} clones={clones.data} fleet={fleet} />;
  }
  return clones.error === null ? (
    <Loading what="the clones" />
  ) : (
    <Failure what="The clones" error={clones.error} retry={clones.refetch} />
  );
}

function ProjectDetail(props: {
  project: ProjectSummary;
  clones: readonly ProjectNodeStatus[];
  fleet: Node[];
}) {
  const { project, clones, fleet } = props;
  const now = useNow();
  const spaces = useQuery(spacesQuery).data;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const rows = buildMatrix(project, clones, fleet, now);
  // Nodes that were removed since are not asked.
  const chosen = useMemo(
    () => fleet.filter(({ id }) => selected.has(id)).map(({ id }) => id),
    [fleet, selected],
  );
  const space = spaces === undefined ? undefined : findSpaceOf(project, spaces);
  return (
    <>
      <ProjectHead project={project} clones={clones} fleet={fleet} chosen={chosen} />
      <NodeMatrix project={project} rows={rows} selected={selected} onSelect={setSelected} />
      <div className={styles.halves}>
        <div className={styles.half}>
          <ProjectSettings project={project} fleet={fleet} spaces={spaces ?? []} />
          <Schedules project={project} hasSpace={space !== null} />
        </div>
        <div className={styles.half}>
          {space !== undefined && <ProjectMemory project={project} space={space} fleet={fleet} />}
          <LeadershipCard cid={project.canonical_id} name={project.name} fleet={fleet} />
        </div>
      </div>
    </>
  );
}
