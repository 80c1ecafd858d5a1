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
 * Saves settings of a space, shows the space as it is then, and says so.
 * @param space the space as it is until then
 * @param options.save the call; options.done the sentence that says what was saved; options.after hears of the new space
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
      notifyDone(options.done, 'Nodes that are online sync with them now.');
      options.after(saved);
    },
  });
}
