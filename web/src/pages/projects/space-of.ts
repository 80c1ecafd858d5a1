import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import type { ProjectFacts } from '../../../../contract/projects/projects.ts';

/** The memory space of a project, as the API finds it: the one it is mapped to, or the one of its name; null without one. */
export function spaceOf(project: ProjectFacts, spaces: readonly SpaceFacts[]): SpaceFacts | null {
  const cid = project.space ?? project.canonical_id;
  return (
    spaces.find(({ canonical_id }) => canonical_id === cid) ??
    spaces.find(({ aliases }) => aliases.includes(cid)) ??
    null
  );
}
