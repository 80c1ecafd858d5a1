import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import {
  countClones,
  type ManagedProject,
  type ProjectSummary,
} from '../../../../contract/projects/projects.ts';
import { keys } from '../../api/keys.ts';
import { applyToProjects } from '../../live/apply-project-events.ts';

/**
 * Shows a project from an answer immediately. The live event may have arrived first. Both ways write the same entry,
 * so the project is listed once.
 */
export function useProjectsCache() {
  const cache = useQueryClient();
  return useMemo(() => {
    const apply = (event: Parameters<typeof applyToProjects>[1][number]) =>
      cache.setQueryData<ProjectSummary[]>(
        keys.projects,
        (projects) => projects && applyToProjects(projects, [event]),
      );
    return {
      show: ({ nodes, ...project }: ManagedProject) =>
        void apply({ type: 'project', project: { ...project, clones: countClones(nodes) } }),
      forget: (id: string) => void apply({ type: 'project-removed', id }),
    };
  }, [cache]);
}
