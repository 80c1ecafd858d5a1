import { z } from 'zod';

/** Claude-mem projects in a node's database that no space covers. */
export const Uncovered = z.strictObject({
  /** The largest of them, at most five; never a project that the space excludes. */
  projects: z.array(z.string()),
  /** How many more there are. */
  more: z.number().int().nonnegative(),
});
export type Uncovered = z.infer<typeof Uncovered>;

/** Says that a space covers nothing in a node's database, which projects that holds, and what to set. */
export function uncoveredSentence({ projects, more }: Uncovered): string {
  if (projects.length === 0) return "the space excludes all of this node's claude-mem projects";
  const names = projects.join(', ') + (more === 0 ? '' : ` and ${more} more`);
  return `the space covers none of this node's claude-mem projects (${names}): add them to what it covers, or "*" for all of them`;
}
