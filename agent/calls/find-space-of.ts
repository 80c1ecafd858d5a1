import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { MembridgeError } from '../../contract/errors.ts';

/**
 * Returns the space that a call is for: the named one, or the only one.
 * @param project its project's name or canonical id
 * @throws MembridgeError not_found when this node takes part in no such space; bad_request when a name is needed
 */
export function findSpaceOf(spaces: readonly SpaceConfig[], project: string | undefined): SpaceConfig {
  const names = spaces.map(({ projectId }) => projectId).join(', ');
  if (project !== undefined) {
    const found = spaces.find(({ projectId, cid }) => projectId === project || cid === project);
    if (found !== undefined) return found;
    throw new MembridgeError(
      'not_found',
      `This node takes part in no space "${project}"; in these: ${names || 'none'}.`,
    );
  }
  const [only, ...others] = spaces;
  if (only !== undefined && others.length === 0) return only;
  throw new MembridgeError(
    'bad_request',
    only === undefined
      ? 'This node takes part in no space yet. Create one on the page (Membridge, "New space").'
      : `This node takes part in several spaces: say which with --project NAME (${names}).`,
  );
}
