import { z } from 'zod';
import { RepoUrl } from '../../contract/projects/git-url.ts';
import {
  CancelProject,
  CloneProject,
  CloneProjectResponse,
  CreateManagedProject,
  ListClones,
  ManagedProject,
  NodeCredential,
  ProjectNodeStatus,
  ProjectSchedules,
  ProjectSummary,
  PropagateProject,
  PropagateProjectResponse,
  PutCredential,
  ResetClone,
  UpdateManagedProject,
} from '../../contract/projects/projects.ts';
import { getCloneSpec, listClones, listProjects } from '../../db/queries/list-projects.ts';
import { notFoundError } from '../http/not-found.ts';
import { addProject, changeProject, removeProject } from '../projects/change.ts';
import { issueCredential, putCredential, removeCredential } from '../projects/credentials.ts';
import { cancelProject, requireManagedProject } from '../projects/requests.ts';
import { clone, propagate, reset } from '../projects/run.ts';
import { showClone, showProject, showProjectWhole, showSchedules, showSummary } from '../projects/show.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Projects';
const ProjectId = z.strictObject({ id: z.string() });
const missing = { 404: 'There is no such project' } as const;
const waits = {
  404: 'There is no such project or node',
  502: 'git failed; the message says why',
  504: 'It has not ended after 60 s and continues',
} as const;

export const projectRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/runtime/projects',
    auth: 'people',
    tag,
    summary: 'List all managed projects, each with counts of its clones',
    description: 'The clones of one project are at /api/runtime/projects/:id/clones.',
    status: 200,
    response: z.array(ProjectSummary),
    handle: async (_call, deps) => (await listProjects(deps.db)).map((project) => showSummary(deps, project)),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects',
    auth: 'people',
    tag,
    summary: 'Make a managed project; nothing is cloned yet',
    description:
      'An address with a token or password is refused. Set it as the credential instead, which is stored sealed.',
    body: CreateManagedProject,
    status: 201,
    response: ManagedProject,
    errors: { 404: 'There is no such node or space', 409: 'A project of this name exists' },
    handle: async ({ body, caller }, deps) => showProject(deps, await addProject(deps, body, caller)),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/projects/:id',
    auth: 'people',
    tag,
    summary: 'Get one managed project, with its clones and the next runs of its schedules',
    params: ProjectId,
    status: 200,
    response: ManagedProject,
    errors: missing,
    handle: async ({ params }, deps) =>
      await showProjectWhole(deps, await requireManagedProject(deps, params.id)),
  }),
  defineRoute({
    method: 'patch',
    path: '/api/runtime/projects/:id',
    auth: 'people',
    tag,
    summary: 'Change the given fields of a project',
    description:
      'A new name gives it a new canonical id; the former one stays as an alias, and clones stay where they are. A repo_url with another protocol, host or port drops the credential.',
    params: ProjectId,
    body: UpdateManagedProject,
    status: 200,
    response: ManagedProject,
    errors: { 404: 'There is no such project, node or space', 409: 'A project of this name exists' },
    handle: async ({ params, body, caller }, deps) => {
      const project = await requireManagedProject(deps, params.id);
      return await showProjectWhole(deps, await changeProject(deps, project, body, caller));
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/runtime/projects/:id',
    auth: 'people',
    tag,
    summary: 'Delete a project: running work is cancelled; finished clones stay on the nodes',
    params: ProjectId,
    status: 200,
    response: z.strictObject({ removed: z.literal(true), id: z.string() }),
    errors: missing,
    handle: async ({ params, caller }, deps) => {
      await removeProject(deps, await requireManagedProject(deps, params.id), caller);
      return { removed: true as const, id: params.id };
    },
  }),
  defineRoute({
    method: 'put',
    path: '/api/runtime/projects/:id/credential',
    auth: 'people',
    tag,
    summary: 'Set the ssh key or token of a private repository; it is stored sealed and never shown again',
    params: ProjectId,
    body: PutCredential,
    status: 200,
    response: ManagedProject,
    errors: missing,
    handle: async ({ params, body, caller }, deps) =>
      showProject(
        deps,
        await putCredential(deps, await requireManagedProject(deps, params.id), body, caller),
      ),
  }),
  defineRoute({
    method: 'delete',
    path: '/api/runtime/projects/:id/credential',
    auth: 'people',
    tag,
    summary: 'Remove the credential of a project',
    params: ProjectId,
    status: 200,
    response: ManagedProject,
    errors: missing,
    handle: async ({ params, caller }, deps) =>
      showProject(deps, await removeCredential(deps, await requireManagedProject(deps, params.id), caller)),
  }),
  defineRoute({
    method: 'get',
    path: '/api/agent/projects/:id/credential',
    auth: 'node',
    tag: 'Agent',
    summary: 'Get the credential for a project that this node was asked to clone',
    params: ProjectId,
    query: z.strictObject({ repo_url: RepoUrl }),
    status: 200,
    response: NodeCredential,
    errors: {
      404: 'There is no such project, or this node has no part in it',
      409: 'The project now has another address',
    },
    handle: async ({ params, query, caller }, deps) =>
      await issueCredential(deps, {
        projectId: params.id,
        node: caller.node ?? '',
        repoUrl: query.repo_url,
      }),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/projects/:id/schedules',
    auth: 'people',
    tag,
    summary: 'Get when the schedules of a project run next, according to Temporal',
    params: ProjectId,
    status: 200,
    response: ProjectSchedules,
    errors: missing,
    handle: async ({ params }, deps) =>
      await showSchedules(deps, await requireManagedProject(deps, params.id)),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/projects/:id/clones',
    auth: 'people',
    tag,
    summary: 'List the clones of a project, by node, a page at a time',
    description:
      'status and q filter the clones. When there are more, the header X-Next-Cursor is the cursor of the next page.',
    params: ProjectId,
    query: ListClones,
    status: 200,
    response: z.array(ProjectNodeStatus),
    errors: missing,
    handle: async ({ params, query, res }, deps) => {
      if ((await getCloneSpec(deps.db, { id: params.id, hosts: [] })) === null)
        throw notFoundError('project', params.id);
      const rows = await listClones(deps.db, { ...query, projectId: params.id });
      const page = rows.slice(0, query.limit);
      const last = page.at(-1);
      if (rows.length > page.length && last !== undefined) res.set('X-Next-Cursor', last.node_id);
      return page.map((status) => showClone(deps, status));
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/projects/:id/node-status',
    auth: 'people',
    tag,
    summary: 'List the status of the clone on each node',
    params: ProjectId,
    status: 200,
    response: z.array(ProjectNodeStatus),
    errors: missing,
    handle: async ({ params }, deps) =>
      (await requireManagedProject(deps, params.id)).nodes.map((status) => showClone(deps, status)),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects/:id/clone',
    auth: 'people',
    tag,
    summary: 'Clone a project on one node, or update its clone',
    description:
      'On the primary unless a node is named. Local changes are never lost: a clone with local changes is left alone, and the answer says so. Waits for the end unless "wait" is false.',
    params: ProjectId,
    body: CloneProject,
    status: 200,
    accepted: 'The caller did not wait',
    response: CloneProjectResponse,
    errors: waits,
    handle: async ({ params, body, caller, res }, deps) =>
      await clone(deps, await requireManagedProject(deps, params.id), { ...body, caller }, res),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects/:id/reset',
    auth: 'people',
    tag,
    summary: 'Reset the clone on one node to the remote, and keep its former state',
    description:
      'For a clone that is left alone because of local work, or because the remote rewrote its history. First a branch kept/<time> saves what only the clone has: its commits, and one more with changed, staged and untracked files. Send the commit that you saw; when the clone is at another one, nothing is changed. The call does not wait for an offline node.',
    params: ProjectId,
    body: ResetClone,
    status: 200,
    accepted: 'The caller did not wait',
    response: CloneProjectResponse,
    errors: { ...waits, 409: 'The clone is at another commit, or its state cannot be saved' },
    handle: async ({ params, body, res }, deps) =>
      await reset(deps, await requireManagedProject(deps, params.id), body, res),
  }),
  ...(
    [
      ['propagate', 'clone', 'Clone a project on every node, or update its clones'],
      ['fetch', 'fetch', 'Fetch on every node that has a clone, and report how far each is behind'],
    ] as const
  ).map(([path, action, summary]) =>
    defineRoute({
      method: 'post',
      path: `/api/runtime/projects/:id/${path}`,
      auth: 'people',
      tag,
      summary,
      description:
        'One failure does not stop the others; an offline node follows when it returns (status "waiting"). Waits for the end unless "wait" is false.',
      params: ProjectId,
      body: PropagateProject,
      status: 200,
      accepted: 'It continues: the caller did not wait, or some node is not done',
      response: PropagateProjectResponse,
      errors: { 404: 'There is no such project or node' },
      handle: async ({ params, body, res }, deps) =>
        await propagate(deps, await requireManagedProject(deps, params.id), { ...body, action }, res),
    }),
  ),
  defineRoute({
    method: 'post',
    path: '/api/runtime/projects/:id/cancel',
    auth: 'people',
    tag,
    summary: 'Cancel what one node, or every node, does with a project; half-made clones are removed',
    params: ProjectId,
    body: CancelProject,
    status: 202,
    response: z.strictObject({ cancelling: z.literal(true), id: z.string() }),
    errors: missing,
    handle: async ({ params, body }, deps) => {
      await cancelProject(deps, await requireManagedProject(deps, params.id), body.node_id);
      return { cancelling: true as const, id: params.id };
    },
  }),
];
