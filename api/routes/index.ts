import type { Route } from '../http/route.ts';
import { agentCallRoutes } from './agent-calls.ts';
import { agentEngineRoutes } from './agent-engine.ts';
import { agentRequestRoutes } from './agent-requests.ts';
import { agentTaskRoutes } from './agent-tasks.ts';
import { agentStoreRoutes } from './agent-store.ts';
import { agentRoutes } from './agent.ts';
import { auditRoutes } from './audit.ts';
import { healthRoutes } from './health.ts';
import { jobRoutes } from './jobs.ts';
import { leadershipRoutes } from './leadership.ts';
import { nodeCallRoutes } from './node-calls.ts';
import { originalAgentRoutes } from './original-agents.ts';
import { originalProjectRoutes } from './original-projects.ts';
import { originalSyncRoutes } from './original-sync.ts';
import { projectMemoryRoutes } from './project-memory.ts';
import { pushWebhookRoutes } from './push-webhooks.ts';
import { projectRoutes } from './projects.ts';
import { proposalRoutes } from './proposals.ts';
import { runtimeConfigRoutes } from './runtime-config.ts';
import { sessionRoutes } from './session.ts';
import { spaceRoutes } from './spaces.ts';
import { streamRoutes } from './streams.ts';
import { taskRecordRoutes } from './task-records.ts';
import { taskScheduleRoutes } from './task-schedules.ts';
import { taskRoutes } from './tasks.ts';
import { webhookRoutes } from './webhooks.ts';
import { workerRoutes } from './workers.ts';

/** Every route of the API. Express and the OpenAPI document are both made from this list. */
export const ROUTES: readonly Route[] = [
  ...healthRoutes,
  ...sessionRoutes,
  ...spaceRoutes,
  ...jobRoutes,
  ...projectRoutes,
  ...pushWebhookRoutes,
  ...projectMemoryRoutes,
  ...proposalRoutes,
  ...auditRoutes,
  ...leadershipRoutes,
  ...taskRoutes,
  ...taskRecordRoutes,
  ...taskScheduleRoutes,
  ...webhookRoutes,
  ...workerRoutes,
  ...nodeCallRoutes,
  ...runtimeConfigRoutes,
  ...streamRoutes,
  ...agentRoutes,
  ...agentTaskRoutes,
  ...agentRequestRoutes,
  ...agentStoreRoutes,
  ...agentEngineRoutes,
  ...agentCallRoutes,
  ...originalProjectRoutes,
  ...originalAgentRoutes,
  ...originalSyncRoutes,
];
