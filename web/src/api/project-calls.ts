import { z } from 'zod';
import { Leadership, type SelectPrimary } from '../../../contract/memory/leadership.ts';
import {
  CloneProjectResponse,
  ManagedProject,
  ProjectNodeStatus,
  ProjectSchedules,
  ProjectSummary,
  PropagateProjectResponse,
  PushWebhook,
  type CreateManagedProject,
  type PutCredential,
  type UpdateManagedProject,
} from '../../../contract/projects/projects.ts';
import { queryOf } from './filters.ts';
import { request, requestPage, send, type Page } from './request.ts';

/** How many clones are requested at a time: the most that the API allows. */
const CLONES_PER_PAGE = 500;

const encode = encodeURIComponent;
const projectPath = (id: string, rest = ''): string => `/api/runtime/projects/${encode(id)}${rest}`;
const leadershipPath = (cid: string, rest = ''): string =>
  `/api/membridge/projects/${encode(cid)}/leadership${rest}`;

/** The API's answer also has fields for the original's pages; these pages need only the primary. */
const LeadershipAnswer = z.object(Leadership.shape);

/** The nodes that must do something, and how many of them at the same time; null: every node. */
export interface Reach {
  readonly nodes: readonly string[] | null;
  readonly concurrency: number;
}

/** Long work is requested without waiting: live events report its progress. */
const atOnce = { wait: false } as const;

const reachBody = ({ nodes, concurrency }: Reach) => ({
  ...atOnce,
  concurrency,
  ...(nodes === null ? {} : { nodes }),
});

/** The calls of the pages of managed projects and leadership, one function each. All throw ApiProblem. */
export const projectApi = {
  list: (signal?: AbortSignal) => request('/api/runtime/projects', z.array(ProjectSummary), { signal }),
  schedules: (id: string, signal?: AbortSignal) =>
    request(projectPath(id, '/schedules'), ProjectSchedules, { signal }),
  /** Requests every clone of a project, a page at a time. */
  clones: async (id: string, signal?: AbortSignal) => {
    const clones: ProjectNodeStatus[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = queryOf({ limit: CLONES_PER_PAGE, cursor });
      const page: Page<ProjectNodeStatus> = await requestPage(
        projectPath(id, `/clones${query}`),
        ProjectNodeStatus,
        { signal },
      );
      clones.push(...page.rows);
      cursor = page.next;
    }
    return clones;
  },
  create: (project: CreateManagedProject) =>
    request('/api/runtime/projects', ManagedProject, { method: 'POST', body: project }),
  update: (id: string, update: UpdateManagedProject) =>
    request(projectPath(id), ManagedProject, { method: 'PATCH', body: update }),
  remove: (id: string) => send(projectPath(id), { method: 'DELETE' }),
  putCredential: (id: string, credential: PutCredential) =>
    request(projectPath(id, '/credential'), ManagedProject, { method: 'PUT', body: credential }),
  removeCredential: (id: string) =>
    request(projectPath(id, '/credential'), ManagedProject, { method: 'DELETE' }),

  makePushWebhook: (id: string) =>
    request(projectPath(id, '/push-webhook'), PushWebhook, { method: 'POST', body: {} }),
  removePushWebhook: (id: string) => send(projectPath(id, '/push-webhook'), { method: 'DELETE' }),
  clone: (id: string, node: string) =>
    request(projectPath(id, '/clone'), CloneProjectResponse, {
      method: 'POST',
      body: { ...atOnce, node_id: node },
    }),
  reset: (id: string, { node, commit }: { node: string; commit: string }) =>
    request(projectPath(id, '/reset'), CloneProjectResponse, {
      method: 'POST',
      body: { ...atOnce, node_id: node, commit },
    }),
  propagate: (id: string, reach: Reach) =>
    request(projectPath(id, '/propagate'), PropagateProjectResponse, {
      method: 'POST',
      body: reachBody(reach),
    }),
  fetch: (id: string, reach: Reach) =>
    request(projectPath(id, '/fetch'), PropagateProjectResponse, { method: 'POST', body: reachBody(reach) }),
  cancel: (id: string, node: string | null) =>
    send(projectPath(id, '/cancel'), { method: 'POST', body: node === null ? {} : { node_id: node } }),
  syncMemory: (id: string, what: { direction: 'push' | 'pull' | 'sync'; all: boolean }) =>
    send(projectPath(id, '/sync-memory'), { method: 'POST', body: { ...what, ...atOnce } }),

  leadership: (cid: string, signal?: AbortSignal) =>
    request(leadershipPath(cid), LeadershipAnswer, { signal }),
  selectPrimary: (cid: string, selection: SelectPrimary) =>
    send(leadershipPath(cid, '/select'), { method: 'POST', body: selection }),
};
