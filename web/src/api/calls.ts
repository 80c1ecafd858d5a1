import { z } from 'zod';
import {
  OriginalProject,
  RequestSyncResponse,
  RuntimeHealth,
  RuntimeStats,
  Session,
  SignedInBrowser,
  type PutNodeSettings,
  type UpdateSpace,
} from '../../../contract/http/api.ts';
import { AuditProof } from '../../../contract/audit.ts';
import { Job, MembersPage, Space, SpaceSummary } from '../../../contract/memory/memory.ts';
import { PublishMirrorResponse, type PublishMirror } from '../../../contract/memory/mirror.ts';
import { EnrolmentToken, Node } from '../../../contract/nodes/nodes.ts';
import { DoctorAnswer } from '../../../contract/nodes/remote-calls.ts';
import type { SyncAction } from '../../../contract/http/primitives.ts';
import {
  RuntimeConfig,
  TestConnectionResponse,
  type SaveRuntimeConfig,
} from '../../../contract/runtime-config.ts';
import { queryOf, type MemberFilter } from './filters.ts';
import { request, send } from './request.ts';

const encode = encodeURIComponent;

/** How many jobs the page requests at a time: the most that the API allows. */
export const JOBS_SHOWN = 200;

/** Every call of the page, one function each. All throw ApiProblem. */
export const api = {
  session: (signal?: AbortSignal) => request('/api/session', Session, { signal }),
  signIn: (key: string) => send('/api/session', { method: 'POST', body: { key } }),
  signOut: () => send('/api/session', { method: 'DELETE' }),
  sessions: (signal?: AbortSignal) => request('/api/sessions', z.array(SignedInBrowser), { signal }),
  endSession: (id: string) => send(`/api/sessions/${encode(id)}`, { method: 'DELETE' }),
  endOtherSessions: () => send('/api/sessions', { method: 'DELETE' }),
  proveAudit: () => request('/api/runtime/audit/proof', AuditProof),

  health: (signal?: AbortSignal) => request('/api/runtime/health', RuntimeHealth, { signal }),
  stats: (signal?: AbortSignal) => request('/api/runtime/stats', RuntimeStats, { signal }),
  runtimeConfig: (signal?: AbortSignal) => request('/api/runtime/config', RuntimeConfig, { signal }),
  saveRuntimeConfig: (config: SaveRuntimeConfig) =>
    request('/api/runtime/config', RuntimeConfig, { method: 'POST', body: config }),
  testConnection: () => request('/api/runtime/test-connection', TestConnectionResponse, { method: 'POST' }),

  nodes: (signal?: AbortSignal) => request('/api/runtime/workers', z.array(Node), { signal }),
  removeNode: (id: string) => send(`/api/runtime/workers/${encode(id)}`, { method: 'DELETE' }),
  /** Has a node examine itself. Aborting cancels the call on the node. */
  runDoctor: (id: string, signal: AbortSignal) =>
    request(`/api/runtime/workers/${encode(id)}/calls/doctor`, DoctorAnswer, {
      method: 'POST',
      body: {},
      signal,
    }),
  createToken: ({ nodeId, pools }: { nodeId: string | null; pools: readonly string[] }) =>
    request('/api/runtime/enrolment-tokens', EnrolmentToken, {
      method: 'POST',
      body: { ...(nodeId !== null && { node_id: nodeId }), ...(pools.length > 0 && { pools }) },
    }),

  spaces: (signal?: AbortSignal) => request('/api/membridge/spaces', z.array(SpaceSummary), { signal }),
  space: (cid: string, signal?: AbortSignal) =>
    request(`/api/membridge/spaces/${encode(cid)}`, Space, { signal }),
  members: (cid: string, filter: MemberFilter, signal?: AbortSignal) =>
    request(`/api/membridge/spaces/${encode(cid)}/members${queryOf(filter)}`, MembersPage, { signal }),
  /** Lists projects that agents reported and that have no space. */
  reportedProjects: async (signal?: AbortSignal) =>
    (await request('/api/membridge/projects', z.array(OriginalProject), { signal })).filter(
      ({ source }) => source === 'heartbeat',
    ),
  createSpace: (space: { name: string; projects: string[] }) =>
    request('/api/membridge/spaces', Space, { method: 'POST', body: space }),
  updateSpace: (cid: string, update: UpdateSpace) =>
    request(`/api/membridge/spaces/${encode(cid)}`, Space, { method: 'PATCH', body: update }),
  allowDeletions: (cid: string, node: string) =>
    send(`/api/membridge/spaces/${encode(cid)}/nodes/${encode(node)}/deletions`, { method: 'POST' }),
  putNodeSettings: (cid: string, node: string, settings: PutNodeSettings) =>
    request(`/api/membridge/spaces/${encode(cid)}/nodes/${encode(node)}/settings`, Space, {
      method: 'PUT',
      body: settings,
    }),
  publishMirror: (cid: string, agreed: PublishMirror) =>
    request(`/api/membridge/spaces/${encode(cid)}/mirror`, PublishMirrorResponse, {
      method: 'POST',
      body: agreed,
    }),
  deleteSpace: (cid: string) => send(`/api/membridge/spaces/${encode(cid)}`, { method: 'DELETE' }),
  requestSync: (cid: string, action: SyncAction, nodeId: string | null) =>
    request(`/api/membridge/spaces/${encode(cid)}/sync`, RequestSyncResponse, {
      method: 'POST',
      body: nodeId === null ? { action } : { action, node_id: nodeId },
    }),

  jobs: (filter: { project: string; node: string | null }, signal?: AbortSignal) => {
    const query = new URLSearchParams({ limit: String(JOBS_SHOWN), project: filter.project });
    if (filter.node !== null) query.set('node', filter.node);
    return request(`/api/membridge/jobs?${query.toString()}`, z.array(Job), { signal });
  },
  job: (id: string, signal?: AbortSignal) => request(`/api/membridge/jobs/${encode(id)}`, Job, { signal }),
};
