import { useMutation, useQueryClient } from '@tanstack/react-query';
import {
  spaceFacts,
  type Space,
  type SpaceFacts,
  type SpaceSummary,
} from '../../../../contract/memory/memory.ts';
import { keys } from '../../api/keys.ts';
import { notifyDone } from '../../components/notify.ts';
import { applyToSpaces } from '../../live/apply-events.ts';

/**
 * Saves settings of a space, shows the changed space, and says so.
 * @param space the space before the change
 * @param options.save the call; options.done the sentence that says what was saved; options.after receives the new
 * space
 */
export function useSaveSpace<Settings>(
  space: SpaceFacts,
  options: { save: (settings: Settings) => Promise<Space>; done: string; after: (saved: Space) => void },
) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: options.save,
    onSuccess: (saved) => {
      const renamed = saved.canonical_id !== space.canonical_id;
      cache.setQueryData<SpaceSummary[]>(
        keys.spaces,
        (spaces) =>
          spaces &&
          applyToSpaces(spaces, [
            ...(renamed ? [{ type: 'space-removed' as const, canonical_id: space.canonical_id }] : []),
            { type: 'space', space: spaceFacts(saved) },
          ]),
      );
      void cache.invalidateQueries({ queryKey: keys.allMembers });
      notifyDone(options.done, 'Online nodes now sync with the new settings.');
      options.after(saved);
    },
  });
}
