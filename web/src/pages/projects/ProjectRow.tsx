import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { driftSummary } from '../../format/project-words.ts';
import { shortAddress } from './project-list.ts';
import { ProjectStatus } from './ProjectStatus.tsx';
import styles from './Projects.module.css';
import { Tags } from './Tags.tsx';

/** One project of the list. Redrawn only when the project, or the number of nodes, changed. */
export const ProjectRow = memo(function ProjectRow(props: {
  project: ProjectSummary;
  fleetSize: number | null;
}) {
  const { project, fleetSize } = props;
  const { id, clones } = project;
  const drift = driftSummary(clones);
  return (
    <tr data-testid={`project-row-${id}`}>
      <td>
        <Link
          to="/membridge/projects/$project"
          params={{ project: id }}
          className={styles.name}
          data-testid={`project-open-${id}`}
        >
          {project.name}
        </Link>
        <span className={`second-line ${styles.address}`} title={project.repo_url}>
          {shortAddress(project.repo_url)}
        </span>
      </td>
      <td className={styles.status}>
        <ProjectStatus project={project} testId={`project-status-${id}`} />
        <span className="second-line">{describeActivity(project)}</span>
      </td>
      <td data-testid={`project-nodes-${id}`} className={styles.short}>
        {clones.present} of {fleetSize ?? '–'}
      </td>
      <td data-testid={`project-drift-${id}`} className={styles.drift}>
        {drift === '' ? <span className="dim">–</span> : drift}
      </td>
      <td className={styles.short}>{project.primary_node_id ?? <span className="dim">none</span>}</td>
      <td>
        <Tags tags={project.tags} />
      </td>
    </tr>
  );
});

/** Summarizes what is running or failed; empty when there is nothing to report. */
function describeActivity({ clones }: ProjectSummary): string {
  if (clones.total === 0) return 'not cloned yet';
  const { failed } = clones;
  const busy = clones.pending + clones.cloning;
  return [...(busy > 0 ? [`${busy} under way`] : []), ...(failed > 0 ? [`${failed} failed`] : [])].join(', ');
}
