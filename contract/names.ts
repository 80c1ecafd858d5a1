// Constants alone: workflow code bundles this file, so it imports nothing.

/** The task queue of workflows and control-plane activities. */
export const CONTROL_QUEUE = 'control';

/** The task queue of one node: what must happen on that machine is an activity here. */
export const nodeQueue = (nodeId: string): string => `node:${nodeId}`;

/** The task queue of a pool: agents that have a free slot, and its label, poll it. */
export const poolQueue = (pool: string): string => `${POOL_PREFIX}${pool}`;

/** How the queues of all pools begin. */
export const POOL_PREFIX = 'llm:';

/** The task queue of tasks for one node: sticky ones, and those that only it may have. */
export const nodeTaskQueue = (nodeId: string): string => `node:${nodeId}:tasks`;

/** The identity with which a node's agent polls and answers. The gateway refuses a node that names another. */
export const agentIdentity = (nodeId: string, pid: number): string => `agent ${nodeId} (pid ${pid})`;

export const syncMemoryId = (cid: string, nodeId: string): string => `memory-sync:${cid}:${nodeId}`;
export const memorySpaceId = (cid: string): string => `memory-space:${cid}`;
export const cloneProjectId = (projectId: string, nodeId: string): string => `clone:${projectId}:${nodeId}`;
export const llmTaskId = (taskId: string): string => `llm-task:${taskId}`;
export const proposalWorkflowId = (proposalId: string): string => `proposal:${proposalId}`;
export const previewWorkflowId = (proposalId: string): string => `proposal-preview:${proposalId}`;
export const webhookId = (taskId: string, seq: number): string => `webhook:${taskId}:${seq}`;
export const propagateProjectId = (projectId: string): string => `propagate:${projectId}`;
export const leadershipId = (cid: string): string => `leadership:${cid}`;
/** Ids of Temporal Schedules. */
export const fetchScheduleId = (projectId: string): string => `fetch:${projectId}`;
export const updateScheduleId = (projectId: string): string => `update:${projectId}`;
export const memoryScheduleId = (projectId: string): string => `project-memory:${projectId}`;
export const taskScheduleId = (id: string): string => `task-schedule:${id}`;
/** How the ids of workflows begin that a schedule starts; the engine appends the time. */
export const scheduledRunId = (scheduleId: string): string => `${scheduleId}:run`;

/** Search attributes, registered at start; all are keywords. */
export const SEARCH_ATTRIBUTES = [
  'MembridgeProject',
  'MembridgeNode',
  'MembridgeTask',
  'MembridgeStatus',
  'MembridgeSpace',
  'MembridgePool',
] as const;

/** Names of signals and updates, shared by workflows and their callers. */
export const MESSAGES = {
  requestSync: 'requestSync',
  syncAndWait: 'syncAndWait',
  nodePushed: 'nodePushed',
  nodeNoticed: 'nodeNoticed',
  nodeServed: 'nodeServed',
  useWaves: 'useWaves',
  nodeReturned: 'nodeReturned',
  closeSpace: 'closeSpace',
  configureSpace: 'configureSpace',
  requestClone: 'requestClone',
  cancelClone: 'cancelClone',
  cancelPropagation: 'cancelPropagation',
  addNodes: 'addNodes',
  nodeSettled: 'nodeSettled',
  selectPrimary: 'selectPrimary',
  closeLeadership: 'closeLeadership',
  publishMirror: 'publishMirror',
  acceptTask: 'acceptTask',
  claimTask: 'claimTask',
  leaseTask: 'leaseTask',
  renewLease: 'renewLease',
  finishTask: 'finishTask',
  releaseLease: 'releaseLease',
  dispatchTask: 'dispatchTask',
  cancelTask: 'cancelTask',
  requeueTask: 'requeueTask',
  dependencyEnded: 'dependencyEnded',
  approveProposal: 'approveProposal',
} as const;

/** The path at which the control plane serves Temporal's own page, and the public path that Temporal's page is started with. */
export const TEMPORAL_PAGE = '/temporal';
