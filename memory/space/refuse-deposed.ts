import { z } from 'zod';
import { MembridgeError } from '../../contract/errors.ts';
import { leaseKey } from '../../contract/memory/leadership.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/**
 * The fields of the original's lease that are read here. The control plane writes it whenever the primary
 * changes.
 */
const Lease = z.object({ primary_node_id: z.string().nullable(), epoch: z.number().int() });

/**
 * Throws unless the store's lease names this node and this leadership epoch, which is the fencing token.
 * Without a readable lease no node is known to be primary, so it throws as well.
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
    // Handled below like a missing lease.
  }
  if (lease !== null && lease.primary_node_id === claim.node && lease.epoch === claim.epoch) return;
  const now =
    lease === null
      ? `there is no readable ${leaseKey(cid)}`
      : `${lease.primary_node_id ?? 'no node'} is primary in leadership epoch ${lease.epoch}`;
  throw new MembridgeError(
    'deposed',
    `${claim.node} is no longer primary of ${cid} in leadership epoch ${claim.epoch}: ${now}. Nothing was published.`,
  );
}
