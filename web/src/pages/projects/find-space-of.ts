import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import type { ProjectFacts } from '../../../../contract/projects/projects.ts';

/** Returns the memory space of a project, as the API finds it: the mapped one, or the one with its name; null without one. */
export function findSpaceOf(project: ProjectFacts, spaces: readonly SpaceFacts[]): SpaceFacts | null {
  const cid = project.space ?? project.canonical_id;
  return (
    spaces.find(({ canonical_id }) => canonical_id === cid) ??
    spaces.find(({ aliases }) => aliases.includes(cid)) ??
    null
  );
}
