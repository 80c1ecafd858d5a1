import { leaseAuditKey, leaseKey, type LeadershipEvent } from '../../contract/leadership.ts';
import type { SpaceConfig } from '../../contract/memory.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes.ts';
import type { LeadershipState } from '../../contract/workflows.ts';
import type { Database } from '../../db/connect.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { recordLeadership, recordPrimaryAction } from '../../db/queries/record-leadership.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** Activities of leadership beside the API. All of them may run twice with the effect of once. */
export function createLeadershipActivities({ db, store }: { db: Database; store: ObjectStore }) {
  const liveNodes = (): Promise<string[]> =>
    listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });

  return {
    /**
     * Records who is primary: in PostgreSQL, which refuses an epoch that went back, then as the original's lease in the object
     * store, where nodes look before they publish.
     */
    async recordLeadership(input: {
      state: LeadershipState;
      event: LeadershipEvent['event'] | null;
      by: string;
    }): Promise<void> {
      const recorded = await recordLeadership(db, { ...input, now: Date.now() });
      if (!recorded) return;
      const lease = leaseOf(input.state);
      const bytes = Buffer.from(`${JSON.stringify(lease, null, 2)}\n`);
      await store.put(leaseKey(input.state.cid), bytes);
      if (input.event === null) return;
      const time = new Date(input.state.issuedAt).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
      const name = `${time}-${input.state.primary ?? 'nobody'}-${input.state.epoch}-${input.event}`;
      const entry = Buffer.from(JSON.stringify({ ...lease, event: 'lease_written' }));
      await store.put(leaseAuditKey(input.state.cid, name), entry);
    },

    /** Whether a node's last heartbeat is recent. */
    async isNodeLive({ node }: { node: string }): Promise<boolean> {
      return (await liveNodes()).includes(node);
    },

    /** The space of a canonical id as its primary takes part in it, when this is to be done for it; else null. */
    async spaceToLead(input: {
      cid: string;
      node: string;
      what: 'snapshot' | 'mirror';
    }): Promise<SpaceConfig | null> {
      const { cid, node, what } = input;
      const space = await getSpace(db, { cid });
      if (space?.canonical_id !== cid) return null;
      if (what === 'mirror' && (!space.mirror || space.encrypted)) return null;
      return (await getNodeSpaceConfigs(db, { cid, nodes: [node] })).get(node) ?? null;
    },

    /** A space as each live node takes part in it. */
    async liveSpaceConfigs({ cid }: { cid: string }): Promise<[string, SpaceConfig][]> {
      return [...(await getNodeSpaceConfigs(db, { cid, nodes: await liveNodes() }))];
    },

    /** Records what a primary did, unless it is not primary in that epoch any more. */
    async recordPrimaryAction(input: {
      cid: string;
      node: string;
      epoch: number;
      what: 'snapshot' | 'mirror';
      error: string | null;
    }): Promise<void> {
      await recordPrimaryAction(db, { ...input, now: Date.now() });
    },
  };
}

/** The original's lease.json; its times are seconds since 1970. */
function leaseOf(state: LeadershipState): Record<string, unknown> {
  return {
    canonical_id: state.cid,
    primary_node_id: state.primary,
    issued_at: Math.floor(state.issuedAt / 1_000),
    expires_at: Math.floor(state.expiresAt / 1_000),
    lease_seconds: state.leaseSeconds,
    epoch: state.epoch,
    policy: 'primary_authoritative',
    issued_by: state.issuedBy,
    ...(state.primary === null ? { needs_ui_selection: true } : {}),
  };
}
