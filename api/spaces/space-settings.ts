import { badField } from '../../contract/errors.ts';
import type { PutNodeSettings, UpdateSpace } from '../../contract/http/api.ts';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import type { Space } from '../../contract/memory/memory.ts';
import { ONLINE_WITHIN_MS } from '../../contract/nodes/nodes.ts';
import { listLiveNodes } from '../../db/queries/list-live-nodes.ts';
import { listNodes } from '../../db/queries/list-nodes.ts';
import { getNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { putNodeSettings } from '../../db/queries/put-node-settings.ts';
import type { AuditBy } from '../../db/queries/record-audit.ts';
import { updateSpace, type SpaceChange } from '../../db/queries/update-space.ts';
import { toSpaceConfig } from '../../db/to-contract.ts';
import { getLeadership } from '../../db/queries/record-leadership.ts';
import { closeLeadership, ensureLeadership } from '../../engine/leadership-workflows.ts';
import { closeMemorySpace, ensureMemorySpace, newJobId, requestSync } from '../../engine/memory-workflows.ts';
import { headPrefix } from '../../memory/format/layout.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { notFoundError } from '../http/not-found.ts';
import { describeSpace } from './spaces.ts';

/**
 * Changes settings of a space, and makes every live node sync with them. A rename gives it the canonical id of its
 * new name. The former id becomes an alias: paths and scripts still find the space by it, and nodes still read its
 * objects.
 * @throws MembridgeError bad_request, conflict; store_unavailable, store_refused; engine_unavailable, after which the
 * settings are stored and the same call may be repeated
 */
export async function changeSpace(
  deps: Deps,
  space: Space,
  update: UpdateSpace,
  by: AuditBy,
): Promise<Space> {
  const change = changeOf(space, update);
  await describeSpace(deps, { ...change, canonical_id: change.cid, created_at: space.created_at });
  const changed = await updateSpace(deps.db, { cid: space.canonical_id, change, now: deps.now(), by });
  if (changed === null) throw notFoundError('space', space.canonical_id);
  const led = await getLeadership(deps.db, { cid: changed.canonical_id, now: deps.now() });
  await callEngine(deps.engine, async (client) => {
    if (led !== null) await ensureLeadership(client, led);
    await ensureMemorySpace(client, toSpaceConfig({ ...changed, cid: changed.canonical_id }));
    // All aliases, so that a repeated call also ends the workflows that the first one left.
    for (const alias of changed.aliases) {
      await closeMemorySpace(client, alias);
      if ((await getLeadership(deps.db, { cid: alias, now: deps.now() })) === null) {
        await closeLeadership(client, alias);
      }
    }
  });
  return changed;
}

function changeOf(space: Space, update: UpdateSpace): SpaceChange {
  const name = update.name ?? space.name;
  const isRenamed = name !== space.name;
  const cid = isRenamed ? canonicalId(name) : space.canonical_id;
  if (update.aliases?.includes(cid) === true) {
    throw badField('aliases', `${cid} is this space's own canonical id; leave it out`);
  }
  const aliases = [...(update.aliases ?? space.aliases), ...(isRenamed ? [space.canonical_id] : [])];
  return {
    name,
    cid,
    projects: withoutDuplicates(update.projects ?? space.projects),
    excluded: withoutDuplicates(update.excluded ?? space.excluded),
    // A space that takes its former name again must not be its own alias.
    aliases: withoutDuplicates(aliases).filter((alias) => alias !== cid),
    redact: update.redact ?? space.redact,
    encrypted: update.encrypted ?? space.encrypted,
    mirror: update.mirror ?? space.mirror,
  };
}

/**
 * Sets one node's own settings in a space, and makes it sync with them when it is next online.
 * @throws MembridgeError bad_request naming the field; not_found; store_*; engine_unavailable, after which the
 * settings are stored and the same call may be repeated
 */
export async function changeNodeSettings(
  deps: Deps,
  input: { space: Space; node: string; settings: PutNodeSettings; by: AuditBy },
): Promise<Space> {
  const { space, node } = input;
  const { names, trust } = input.settings;
  await checkTrusted(deps, space, node, Object.keys(trust));
  const cid = space.canonical_id;
  const changed = await putNodeSettings(deps.db, {
    cid,
    settings: { node_id: node, names, trust },
    now: deps.now(),
    by: input.by,
  });
  if (changed === null) throw notFoundError('space', cid);
  const config = (await getNodeSpaceConfigs(deps.db, { cid, nodes: [node] })).get(node);
  // An absent node syncs when it returns.
  const live = await listLiveNodes(deps.db, { withinMs: ONLINE_WITHIN_MS, now: deps.now() });
  if (config === undefined || !live.includes(node)) return changed;
  await callEngine(deps.engine, (client) =>
    requestSync(client, { space: config, node }, { jobId: newJobId(), action: 'sync', trigger: 'catch-up' }),
  );
  return changed;
}

/**
 * Refuses a misspelt name, which would otherwise be trusted silently. A removed node is known by the objects that it
 * stored.
 */
async function checkTrusted(deps: Deps, space: Space, node: string, named: string[]): Promise<void> {
  if (named.includes(node)) {
    throw badField(`trust.${node}`, "is the node's own name; it always keeps its own memories");
  }
  const enrolled = new Set((await listNodes(deps.db, { now: deps.now() })).map(({ id }) => id));
  const unknown = named.filter((name) => !enrolled.has(name));
  if (unknown.length === 0) return;
  const stored = new Set<string>();
  for (const cid of [space.canonical_id, ...space.aliases]) {
    const prefix = headPrefix(cid);
    for (const { key } of await deps.store.list(prefix)) stored.add(key.slice(prefix.length));
  }
  const nobody = unknown.find((name) => !stored.has(name));
  if (nobody !== undefined) {
    throw badField(`trust.${nobody}`, 'is neither an enrolled node nor one that ever wrote to this space');
  }
}

const withoutDuplicates = (values: readonly string[]): string[] => [...new Set(values)];
