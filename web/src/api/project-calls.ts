import { z } from 'zod';
import { Leadership, type SelectPrimary } from '../../../contract/leadership.ts';
import {
  CloneProjectResponse,
  ManagedProject,
  PropagateProjectResponse,
  type CreateManagedProject,
  type PutCredential,
  type UpdateManagedProject,
} from '../../../contract/projects.ts';
import { request, send } from './request.ts';

const encode = encodeURIComponent;
const pathOf = (id: string, rest = ''): string => `/api/runtime/projects/${encode(id)}${rest}`;
const leadershipOf = (cid: string, rest = ''): string =>
  `/api/membridge/projects/${encode(cid)}/leadership${rest}`;

/** The path also tells what the original's pages read; those need only who is primary. */
const LeadershipAnswer = z.object(Leadership.shape);

/** Which nodes are to do something, and how many of them at once; no nodes: every one. */
export interface Reach {
  readonly nodes: readonly string[] | null;
  readonly concurrency: number;
}

/** What goes on for long is asked for without waiting: live events tell how far it is. */
const atOnce = { wait: false } as const;

const reachBody = ({ nodes, concurrency }: Reach) => ({
  ...atOnce,
  concurrency,
  ...(nodes === null ? {} : { nodes }),
});

/** The calls of the pages of managed projects and leadership, one function each. All throw ApiProblem. */
export const projectApi = {
  list: (signal?: AbortSignal) => request('/api/runtime/projects', z.array(ManagedProject), { signal }),
  get: (id: string, signal?: AbortSignal) => request(pathOf(id), ManagedProject, { signal }),
  create: (project: CreateManagedProject) =>
    request('/api/runtime/projects', ManagedProject, { method: 'POST', body: project }),
  update: (id: string, update: UpdateManagedProject) =>
    request(pathOf(id), ManagedProject, { method: 'PATCH', body: update }),
  remove: (id: string) => send(pathOf(id), { method: 'DELETE' }),
  putCredential: (id: string, credential: PutCredential) =>
    request(pathOf(id, '/credential'), ManagedProject, { method: 'PUT', body: credential }),
  removeCredential: (id: string) => request(pathOf(id, '/credential'), ManagedProject, { method: 'DELETE' }),

  clone: (id: string, node: string) =>
    request(pathOf(id, '/clone'), CloneProjectResponse, {
      method: 'POST',
      body: { ...atOnce, node_id: node },
    }),
  propagate: (id: string, reach: Reach) =>
    request(pathOf(id, '/propagate'), PropagateProjectResponse, { method: 'POST', body: reachBody(reach) }),
  fetch: (id: string, reach: Reach) =>
    request(pathOf(id, '/fetch'), PropagateProjectResponse, { method: 'POST', body: reachBody(reach) }),
  cancel: (id: string, node: string | null) =>
    send(pathOf(id, '/cancel'), { method: 'POST', body: node === null ? {} : { node_id: node } }),
  syncMemory: (id: string, what: { direction: 'push' | 'pull' | 'sync'; all: boolean }) =>
    send(pathOf(id, '/sync-memory'), { method: 'POST', body: { ...what, ...atOnce } }),

  leadership: (cid: string, signal?: AbortSignal) => request(leadershipOf(cid), LeadershipAnswer, { signal }),
  selectPrimary: (cid: string, selection: SelectPrimary) =>
    send(leadershipOf(cid, '/select'), { method: 'POST', body: selection }),
};
