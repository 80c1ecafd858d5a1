import type { ProjectFacts } from '../../../../contract/projects/projects.ts';
import { Status } from '../../components/Status.tsx';
import { PROJECT_STATUSES } from '../../format/project-words.ts';

/** The status of a project, in one word with its light. */
export function ProjectStatus({ project, testId }: { project: ProjectFacts; testId: string }) {
  const { label, tone } = PROJECT_STATUSES[project.clone_status];
  return (
    <Status tone={tone} testId={testId}>
      {label}
    </Status>
  );
}
