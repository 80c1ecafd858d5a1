import type { Membership } from '../../contract/memory/membership.ts';
import { signMembership } from '../../memory/format/signing.ts';
import { CONTROL, type World } from './machine.ts';

/** Names of every machine that a history may have; clones write under the name of their original. */
const NODES = ['a', 'b', 'c', 'd', 'e', 'newcomer'];

/**
 * Makes the control plane add to its membership. It lets through whatever machines date in the future, because their
 * clocks are sometimes wrong.
 */
export function publishMembership(
  world: World,
  said: Partial<Pick<Membership, 'retired' | 'encrypted'>>,
): void {
  const cids = world.spaces.map(({ cid }) => cid);
  const body = {
    format: 'membridge-membership/1' as const,
    retired: world.membership?.retired ?? [],
    encrypted: world.membership?.encrypted ?? {},
    sealing: {},
    deletions: cids.flatMap((space) =>
      NODES.map((node) => ({ space, node, until: Number.MAX_SAFE_INTEGER })),
    ),
    since: 0,
    ...said,
  };
  world.membership = signMembership(body, CONTROL.privateKey);
}

/** Encrypts every space from now on. @returns false when they are encrypted already */
export function beginEncryption(world: World): boolean {
  if (world.spaces.every(({ encrypted }) => encrypted === true)) return false;
  world.spaces = world.spaces.map((space) => ({ ...space, encrypted: true }));
  publishMembership(world, {
    encrypted: Object.fromEntries(world.spaces.map(({ cid }) => [cid, world.now])),
  });
  world.bucket.isEncrypted = true;
  return true;
}
