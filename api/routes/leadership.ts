import { z } from 'zod';
import { OriginalProjectNode } from '../../contract/http/api.ts';
import { Leadership, SelectPrimary } from '../../contract/memory/leadership.ts';
import { LedId, ReportedId } from '../../contract/http/primitives.ts';
import { listOriginalNodes } from '../../db/queries/list-original-nodes.ts';
import { readLeadership, requireLedId, promote } from '../spaces/leadership.ts';
import { defineRoute } from '../http/route.ts';

const Cid = z.strictObject({ cid: LedId });

/** The original's fields, besides ours. */
const Shown = z.strictObject({
  ...Leadership.shape,
  preferred_primary: ReportedId.nullable(),
  /** Whether a person must choose a primary. */
  needs_ui_selection: z.boolean(),
  node_count: z.number().int(),
  nodes: z.array(OriginalProjectNode),
});

const Selected = z.strictObject({
  ok: z.literal(true),
  detail: z.string(),
  needs_ui_selection: z.boolean(),
  ...Leadership.shape,
});

const families = [
  { path: '/projects', auth: 'admin', tag: 'Projects (original paths)', original: true },
  { path: '/api/membridge/projects', auth: 'people', tag: 'Leadership', original: false },
] as const;

export const leadershipRoutes = families.flatMap(({ path, auth, tag, original }) => [
  defineRoute({
    method: 'get',
    path: `${path}/:cid/leadership`,
    auth,
    tag,
    original,
    summary: 'Get the primary of a space or project, its lease, and the history of changes',
    params: Cid,
    status: 200,
    response: Shown,
    handle: async ({ params }, deps) => {
      const cid = await requireLedId(deps, params.cid);
      const leadership = await readLeadership(deps, cid);
      const nodes = await listOriginalNodes(deps.db, { cid });
      return {
        ...leadership,
        preferred_primary: leadership.primary_node_id,
        needs_ui_selection: leadership.status === 'needs_selection',
        node_count: nodes.length,
        nodes,
      };
    },
  }),
  defineRoute({
    method: 'post',
    path: `${path}/:cid/leadership/select`,
    auth,
    tag,
    original,
    summary: 'Make a node primary, or renew its lease',
    description:
      'A different node begins a new leadership epoch: later publications of the former one are refused. The lease is renewed while its node lives. A primary takes snapshots and publishes the mirror; without one, no memory is lost. As in the original, node and project may be unknown. Epochs continue from the lease that the original left in the object store.',
    params: Cid,
    body: SelectPrimary,
    status: 200,
    response: Selected,
    errors: { 503: 'The lease in the object store cannot be read, and no leadership epoch is known yet' },
    handle: async ({ params, body, caller }, deps) => {
      const cid = await requireLedId(deps, params.cid);
      const leadership = await promote(deps, { cid, select: body, caller });
      const detail = `${body.primary_node_id} is primary in leadership epoch ${leadership.epoch}`;
      const needsSelection = leadership.status === 'needs_selection';
      return { ok: true as const, detail, needs_ui_selection: needsSelection, ...leadership };
    },
  }),
]);
