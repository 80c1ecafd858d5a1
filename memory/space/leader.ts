import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { leaseKey } from '../../contract/memory/leadership.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** The original's lease, as far as it is read here; the control plane writes it at every change of the primary. */
const Lease = z.object({ primary_node_id: z.string().nullable(), epoch: z.number().int() });

/**
 * Refuses what a node does as primary when the store says that another one is, or that this one was chosen anew since: the epoch
 * is the fencing token. A store without a lease, or with one that cannot be read, refuses too: nobody is known to be primary.
 * @throws MembridgeError deposed, store_*
 */
export async function refuseDeposed(
  store: ObjectStore,
  cid: string,
  claim: { readonly node: string; readonly epoch: number },
): Promise<void> {
  const bytes = await store.get(leaseKey(cid));
  let lease: z.infer<typeof Lease> | null = null;
  try {
    if (bytes !== null) lease = Lease.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    // Told below, like a lease that is not there.
  }
  if (lease !== null && lease.primary_node_id === claim.node && lease.epoch === claim.epoch) return;
  const now =
    lease === null
      ? `there is no readable ${leaseKey(cid)}`
      : `${lease.primary_node_id ?? 'nobody'} is, in epoch ${lease.epoch}`;
  throw new MembridgeError(
    'deposed',
    `${claim.node} is not primary of ${cid} in epoch ${claim.epoch} any more: ${now}. Nothing was published.`,
  );
}
