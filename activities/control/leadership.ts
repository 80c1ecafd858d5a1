import { leaseAuditKey, leaseKey, type LeadershipEvent } from '../../contract/memory/leadership.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { ONLINE_WITHIN_MS, ORIGINAL_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import type { LeadershipState } from '../../contract/workflows.ts';
import type { Database } from '../../db/connect.ts';
import { getNode } from '../../db/queries/get-node.ts';
import { getSpace } from '../../db/queries/get-space.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { getLeadership, recordLeadership, recordPrimaryAction } from '../../db/queries/record-leadership.ts';
import { recordMirrorJob, type MirrorRound } from '../../db/queries/record-mirror-job.ts';
import { listOriginalNodes } from '../../db/queries/list-original-nodes.ts';
import { toLeadershipState } from '../../engine/leadership-workflows.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** Control plane activities for leadership. All of them are idempotent. */
export function createLeadershipActivities({ db, store }: { db: Database; store: ObjectStore }) {
  const liveNodes = (): Promise<string[]> =>
    listLiveNodes(db, { withinMs: ONLINE_WITHIN_MS, now: Date.now() });

  return {
    /**
     * Records who is primary in PostgreSQL, which refuses a leadership epoch that went back. Returns the
     * state that PostgreSQL then has.
     */
    async recordLeadership(input: {
      state: LeadershipState;
      event: LeadershipEvent['event'] | null;
      by: string;
    }): Promise<{ recorded: boolean; known: LeadershipState | null }> {
      const recorded = await recordLeadership(db, { ...input, now: Date.now() });
      const known = await getLeadership(db, { cid: input.state.cid, now: Date.now() });
      return { recorded, known: known === null ? null : toLeadershipState(known) };
    },

    /**
     * Writes the original's lease and its log to the object store; nodes check the lease before they publish.
     */
    async writeLease({ state }: { state: LeadershipState }): Promise<void> {
      const lease = toOriginalLease(state);
      await store.put(leaseKey(state.cid), Buffer.from(`${JSON.stringify(lease, null, 2)}\n`));
      const time = new Date(state.issuedAt).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
      // In the original, people type a machine's name, and not every character is allowed in an object key.
      const primary = (state.primary ?? 'nobody').replaceAll(/[^A-Za-z0-9_.-]/g, '_');
      const name = `${time}-${primary}-${state.epoch}`;
      const entry = Buffer.from(JSON.stringify({ ...lease, event: 'lease_written' }));
      await store.put(leaseAuditKey(state.cid, name), entry);
    },

    /**
     * Returns whether a node sent a heartbeat recently: an agent, or a machine that only sends the original's
     * heartbeats.
     */
    async isNodeLive({ cid, node }: { cid: string; node: string }): Promise<boolean> {
      if ((await liveNodes()).includes(node)) return true;
      const reported = await listOriginalNodes(db, { cid });
      const since = Date.now() - ORIGINAL_WITHIN_MS;
      return reported.some(({ node_id, last_seen }) => node_id === node && (last_seen ?? 0) >= since);
    },

    /**
     * Returns the space of a canonical id with its primary's configuration, if this work is due for it; else
     * null.
     */
    async spaceToLead(input: {
      cid: string;
      node: string;
      what: 'snapshot' | 'mirror';
    }): Promise<SpaceConfig | null> {
      const { cid, node, what } = input;
      const space = await getSpace(db, { cid });
      if (space?.canonical_id !== cid) return null;
      if (what === 'mirror' && (!space.mirror || space.encrypted)) return null;
      // A machine that only sends the original's heartbeats has no task queue, so it cannot be asked.
      if ((await getNode(db, { id: node, now: Date.now() })) === null) return null;
      return (await getNodeSpaceConfigs(db, { cid, nodes: [node] })).get(node) ?? null;
    },

    /** Returns a space's configuration for each live node. */
    async liveSpaceConfigs({ cid }: { cid: string }): Promise<[string, SpaceConfig][]> {
      return [...(await getNodeSpaceConfigs(db, { cid, nodes: await liveNodes() }))];
    },

    /** Records a mirror publication as a job, if there is something to report. */
    async recordMirrorJob(round: MirrorRound): Promise<void> {
      await recordMirrorJob(db, { ...round, now: Date.now() });
    },

    /** Records what a primary did. Returns whether it is still primary in that leadership epoch. */
    async recordPrimaryAction(input: {
      cid: string;
      node: string;
      epoch: number;
      what: 'snapshot' | 'mirror';
      error: string | null;
    }): Promise<boolean> {
      return await recordPrimaryAction(db, { ...input, now: Date.now() });
    },
  };
}

/** Returns the original's lease.json; its times are in seconds since 1970. */
function toOriginalLease(state: LeadershipState): Record<string, unknown> {
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
