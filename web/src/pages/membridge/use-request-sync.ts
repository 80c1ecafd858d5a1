import { useMutation } from '@tanstack/react-query';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import type { SyncAction } from '../../../../contract/http/primitives.ts';
import { api } from '../../api/calls.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { counted } from '../../format/numbers.ts';
import { ACTIONS } from '../../format/words.ts';

/**
 * Requests a sync of one node, or of every node when `node` is null, and says what was started.
 * @returns the mutation; its variable is the action
 */
export function useRequestSync(space: SpaceFacts, node: string | null) {
  const target = node ?? space.name;
  return useMutation({
    mutationFn: (action: SyncAction) => api.requestSync(space.canonical_id, action, node),
    onSuccess: ({ jobs }, action) => {
      if (jobs.length === 0) notifyDone('Nothing to sync', 'No node is online in this space.');
      else if (node === null) notifyDone(`Sync requested on ${counted(jobs.length, 'node')}`);
      else notifyDone(`${ACTIONS[action]} requested on ${node}`);
    },
    onError: (error, action) => notifyFailure(`${ACTIONS[action]} of ${target} was not started`, error),
  });
}
