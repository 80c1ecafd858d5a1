import {
  OpenAPIRegistry,
  OpenApiGeneratorV31,
  zodToOpenAPIRegistry,
  type ResponseConfig,
} from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import * as api from '../../contract/http/api.ts';
import { ServerEvent } from '../../contract/events.ts';
import { Leadership, LeadershipEvent } from '../../contract/memory/leadership.ts';
import * as memory from '../../contract/memory/memory.ts';
import * as nodes from '../../contract/nodes/nodes.ts';
import * as projects from '../../contract/projects/projects.ts';
import { OriginalJob } from '../../contract/http/original.ts';
import { ControlPlaneConnection, RuntimeConfig } from '../../contract/runtime-config.ts';
import type { Route, RouteAuth } from './route.ts';
import { ROUTES } from '../routes/index.ts';
import { VERSION } from '../version.ts';

/** Schemas with a name in the document, which describes each once and otherwise refers to it. */
const NAMED_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  Problem: api.Problem,
  Session: api.Session,
  RequestSyncResponse: api.RequestSyncResponse,
  RuntimeHealth: api.RuntimeHealth,
  RuntimeStats: api.RuntimeStats,
  RuntimeConfig,
  ControlPlaneConnection,
  Project: api.OriginalProject,
  Agent: api.OriginalAgent,
  ProjectNode: api.OriginalProjectNode,
  Job: memory.Job,
  OriginalJob,
  Space: memory.Space,
  SpaceNode: memory.SpaceNode,
  SpaceNodeSettings: memory.SpaceNodeSettings,
  SpaceConfig: memory.SpaceConfig,
  MemoryStatus: memory.MemoryStatus,
  Node: nodes.Node,
  NodeFacts: nodes.NodeFacts,
  NodeCapabilities: nodes.NodeCapabilities,
  NodeCertificate: nodes.NodeCertificate,
  StoreAccess: nodes.StoreAccess,
  ManagedProject: projects.ManagedProject,
  ProjectSummary: projects.ProjectSummary,
  CloneCounts: projects.CloneCounts,
  ProjectClone: projects.ProjectNodeStatus,
  CloneProgress: projects.CloneProgress,
  Propagation: projects.Propagation,
  CredentialInfo: projects.CredentialInfo,
  CreateManagedProject: projects.CreateManagedProject,
  PropagateProjectResponse: projects.PropagateProjectResponse,
  Leadership,
  LeadershipEvent,
  ServerEvent,
};
// Uses the library's own registry, because its `.openapi()` would have to be installed before the contract is loaded.
for (const [refId, schema] of Object.entries(NAMED_SCHEMAS))
  zodToOpenAPIRegistry.add(schema, { _internal: { refId } });

/** The schemes that each kind of caller may use; any one of them suffices. */
const SECURITY: Readonly<Record<RouteAuth, readonly string[]>> = {
  none: [],
  admin: ['AdminKey'],
  people: ['RuntimeKey', 'Bearer', 'Session', 'AdminKey'],
  node: ['NodeKey'],
  heartbeat: ['NodeKey', 'AdminKey'],
};

/**
 * Makes the OpenAPI 3.1 document of all routes.
 * @param basePath the path below which callers find them behind a proxy, or ''
 */
export function openApiDocument(basePath = ''): ReturnType<OpenApiGeneratorV31['generateDocument']> {
  const registry = new OpenAPIRegistry();
  const scheme = (name: string, value: Parameters<typeof registry.registerComponent<'securitySchemes'>>[2]) =>
    registry.registerComponent('securitySchemes', name, value);
  scheme('AdminKey', { type: 'apiKey', in: 'header', name: 'X-MEMBRIDGE-ADMIN' });
  scheme('RuntimeKey', { type: 'apiKey', in: 'header', name: 'X-Runtime-API-Key' });
  scheme('Bearer', { type: 'http', scheme: 'bearer' });
  scheme('Session', {
    type: 'apiKey',
    in: 'cookie',
    name: 'membridge_session_{instance}',
    description:
      'The cookie that POST /api/session sets. Each control plane has its own name for it, which begins with __Host- over https.',
  });
  scheme('NodeKey', { type: 'apiKey', in: 'header', name: 'X-MEMBRIDGE-AGENT' });
  for (const route of ROUTES) registerRoute(registry, route);
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    ...(basePath === '' ? {} : { servers: [{ url: basePath }] }),
    info: {
      title: 'Membridge control plane',
      version: VERSION,
      description:
        'Times are epoch milliseconds. Errors are RFC 9457 problem+json with the original `error` string. `code` says which error it is; /docs/errors explains each code, and `type` leads there. Every answer carries X-Request-ID.',
    },
  });
}

function registerRoute(registry: OpenAPIRegistry, route: Route): void {
  registry.registerPath({
    method: route.method,
    path: route.path.replaceAll(/[:*](\w+)/g, '{$1}'),
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: SECURITY[route.auth].map((name) => ({ [name]: [] })),
    request: {
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: route.body } } } }),
      ...(route.bodyContent === undefined
        ? {}
        : { body: { required: true, content: { [route.bodyContent]: { schema: z.string() } } } }),
    },
    responses: {
      [route.status]: success(route),
      ...(route.accepted === undefined ? {} : { 202: { ...success(route), description: route.accepted } }),
      ...problems(route),
    },
  });
}

function invalid(route: Route): Record<number, string> {
  const takes = [route.body, route.query, route.params].some((schema) => schema !== undefined);
  const notJson = route.body === undefined ? {} : { 400: 'The body is not JSON' };
  if (route.original === true) return takes ? { ...notJson, 422: 'A field is wrong' } : {};
  return takes ? { 400: 'A field is unknown or wrong' } : {};
}

function success(route: Route): ResponseConfig {
  const description = 'Success';
  if (route.content === 'text/event-stream') {
    return { description, content: { 'text/event-stream': { schema: route.event ?? ServerEvent } } };
  }
  if (route.content !== undefined)
    return { description, content: { [route.content]: { schema: z.string() } } };
  if (route.response === undefined) return { description };
  return { description, content: { 'application/json': { schema: route.response } } };
}

/** Returns the errors that follow from a route's input, and those that the route names itself. */
function problems(route: Route): Record<string, ResponseConfig> {
  const meanings: Record<number, string> = {
    ...(route.auth === 'none' ? {} : { 401: 'The key is missing or wrong' }),
    ...invalid(route),
    ...(route.body ? { 413: 'The body is larger than 1 MB' } : {}),
    ...(route.auth === 'people' && route.method !== 'get'
      ? { 403: 'A signed-in browser asked from another site' }
      : {}),
    ...(route.unlimited === true ? {} : { 429: 'Too many requests' }),
    503: 'PostgreSQL, Temporal or the object store does not answer',
    ...route.errors,
  };
  return Object.fromEntries(
    Object.entries(meanings).map(([status, description]) => [
      status,
      { description, content: { 'application/problem+json': { schema: api.Problem } } },
    ]),
  );
}
