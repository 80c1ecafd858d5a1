import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { enrolledNodesQuery } from '../../api/queries.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { MembridgeNav } from '../membridge/MembridgeNav.tsx';
import { AddProject } from './AddProject.tsx';
import { ProjectsTable } from './ProjectsTable.tsx';

/** The managed projects: git repositories that the fleet clones and keeps up to date. */
export function ProjectsPage() {
  usePageTitle('Projects');
  const projects = useQuery(projectsQuery);
  const nodes = useQuery(enrolledNodesQuery);
  const { tag } = useSearch({ from: '/shell/membridge/projects' });
  const navigate = useNavigate({ from: '/membridge/projects' });

  return (
    <div className="page" data-testid="page-projects">
      <MembridgeNav />
      <PageHead title="Projects" note="Git repositories that the nodes clone and keep up to date.">
        <AddProject fleet={nodes.data ?? []} />
      </PageHead>
      {projects.isPending && <Loading what="the projects" />}
      {projects.data === undefined && projects.error !== null && (
        <Failure what="The projects" error={projects.error} retry={projects.refetch} />
      )}
      {projects.data?.length === 0 && (
        <Empty title="No project yet" testId="projects-empty">
          A project is a git repository and its clones on the nodes. Add one by its address. Nothing is cloned
          until you start it.
        </Empty>
      )}
      {projects.data !== undefined && projects.data.length > 0 && (
        <ProjectsTable
          projects={projects.data}
          fleetSize={nodes.data?.length ?? null}
          tag={tag}
          onTag={(chosen) => void navigate({ search: { tag: chosen }, replace: true })}
        />
      )}
    </div>
  );
}
