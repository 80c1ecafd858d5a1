import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { ManagedProject } from '../../../../contract/projects.ts';
import { driftSummary, hasClone, isUnderWay } from '../../format/project-words.ts';
import { shortAddress } from './project-list.ts';
import { ProjectStatus } from './ProjectStatus.tsx';
import styles from './Projects.module.css';
import { Tags } from './Tags.tsx';

/** One project of the list. Drawn anew only when the project, or the number of nodes, changed. */
export const ProjectRow = memo(function ProjectRow(props: {
  project: ManagedProject;
  fleetSize: number | null;
}) {
  const { project, fleetSize } = props;
  const { id, nodes } = project;
  const having = nodes.filter(hasClone).length;
  const drift = driftSummary(nodes);
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
        <span className="second-line">{activity(project)}</span>
      </td>
      <td data-testid={`project-nodes-${id}`} className={styles.short}>
        {having} of {fleetSize ?? '–'}
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

/** What goes on, or went wrong, in a few words; empty when there is nothing to say. */
function activity({ nodes }: ManagedProject): string {
  if (nodes.length === 0) return 'not asked for yet';
  const failed = nodes.filter(({ clone_status }) => clone_status === 'failed').length;
  const busy = nodes.filter(isUnderWay).length;
  return [...(busy > 0 ? [`${busy} under way`] : []), ...(failed > 0 ? [`${failed} failed`] : [])].join(', ');
}
