import type { Request } from 'express';
import { MembridgeError } from '../../contract/errors.ts';
import {
  AgentConnection,
  AgentHeartbeat,
  AgentHeartbeatResponse,
  EnrolRequest,
  EnrolResponse,
  NO_STORE_ACCESS,
} from '../../contract/nodes/nodes.ts';
import { enrolNode } from '../../db/queries/enrol-node.ts';
import { touchLeases } from '../../db/queries/find-leases.ts';
import { listNodeSpaceConfigs } from '../../db/queries/node-space-configs.ts';
import { recordHeartbeat } from '../../db/queries/record-heartbeat.ts';
import { MEMBERSHIP_HEADER, SEALING_HEADER } from '../../contract/memory/membership.ts';
import { currentMembership } from '../spaces/membership.ts';
import { countFailures } from '../auth/auth.ts';
import { issueCertificate, publicKeyText } from '../nodes/certificates.ts';
import type { Config } from '../config.ts';
import { announceReturn } from '../nodes/node-returned.ts';
import { defineRoute } from '../http/route.ts';
import { randomSecret, sha256Hex } from '../auth/secrets.ts';

const tag = 'Agent';

/** Returns the ids of the keys that an agent named. */
function sealingKeysOf(req: Request): string[] | undefined {
  const given = req.get(SEALING_HEADER);
  return given !== undefined && /^[0-9a-f]{16}(,[0-9a-f]{16}){0,99}$/.test(given)
    ? given.split(',')
    : undefined;
}

/** Returns the addresses and keys that agents connect with. Those that they need not have are left out. */
function connectionOf({ agents, engine, store }: Config): AgentConnection {
  const { namespace } = engine;
  return {
    ...(agents.engineWay === 'direct'
      ? { temporal: { address: agents.temporalAddress, namespace } }
      : { temporal: { address: '', namespace }, engine_way: agents.engineWay }),
    ...(agents.storeWay === 'direct'
      ? { store: { ...store, endpoint: agents.storeEndpoint } }
      : { store: NO_STORE_ACCESS, store_way: agents.storeWay }),
  };
}

export const agentRoutes = [
  defineRoute({
    method: 'post',
    path: '/api/agent/enrol',
    auth: 'none',
    tag,
    summary: 'Enrol a machine with a one-time token',
    description: 'The answer holds everything that an agent needs. It is sent only this once.',
    body: EnrolRequest,
    status: 201,
    response: EnrolResponse,
    errors: {
      401: 'The token is unknown, used or expired',
      403: 'The token was made for another node',
      409: 'A node of this name exists, and the token was not made for it',
      429: 'Too many failed attempts',
    },
    handle: async ({ body, req }, deps) => {
      const { config, db } = deps;
      const now = deps.now();
      const certificate = issueCertificate(config.signingKey, {
        node: body.node_id,
        publicKey: body.public_key,
        issuedAt: now,
      });
      const agentKey = randomSecret();
      await countFailures(req, [body.token], deps, () =>
        enrolNode(db, {
          tokenHash: sha256Hex(body.token),
          nodeId: body.node_id,
          keyHash: sha256Hex(agentKey),
          publicKey: certificate.public_key,
          facts: body.facts,
          now,
        }),
      );
      return {
        node_id: body.node_id,
        agent_key: agentKey,
        certificate,
        control_public_key: publicKeyText(config.signingKey),
        ...connectionOf(config),
      };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/agent/connection',
    auth: 'node',
    tag,
    summary: 'Get the addresses of Temporal and the object store for a node',
    description: 'An agent asks at each start, so addresses and keys may change after its enrolment.',
    status: 200,
    response: AgentConnection,
    handle: (_request, { config }) => Promise.resolve(connectionOf(config)),
  }),
  defineRoute({
    method: 'post',
    path: '/api/agent/heartbeat',
    auth: 'node',
    tag,
    summary: 'Report a node; the answer names the spaces that it takes part in',
    body: AgentHeartbeat,
    status: 200,
    response: AgentHeartbeatResponse,
    unlimited: true,
    handle: async ({ body, caller, req }, deps) => {
      const node = caller.node ?? '';
      const now = deps.now();
      const recorded = await recordHeartbeat(deps.db, {
        node,
        heartbeat: body,
        sealingKeyIds: sealingKeysOf(req),
        now,
      });
      if (recorded === null) {
        throw new MembridgeError('unauthorized', `Node ${node} was removed; enrol it again.`);
      }
      // Not awaited: a heartbeat must not depend on Temporal. announceReturn logs its errors.
      if (recorded.returned) void announceReturn(deps, node);
      await touchLeases(deps.db, { node, leases: body.leases });
      const spaces = await listNodeSpaceConfigs(deps.db, { node, allowed: body.facts.spaces });
      const told = req.get(MEMBERSHIP_HEADER);
      // An agent of 0.4 names no membership, and would refuse an answer with an unknown field.
      const membership = told === undefined ? undefined : await currentMembership(deps);
      return {
        ok: true as const,
        now,
        spaces,
        drained: recorded.drained,
        ...(membership === undefined || membership.signature === told ? {} : { membership }),
        ...(told === undefined ? {} : { waves: true, pools: recorded.pools }),
      };
    },
  }),
];
