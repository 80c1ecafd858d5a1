// Constants only, and no import: the workflow code bundles this file.

/** The task queue of workflows and control-plane activities. */
export const CONTROL_QUEUE = 'control';

/** Returns the task queue of one node. Activities here run on that machine. */
export const nodeQueue = (nodeId: string): string => `node:${nodeId}`;

/** Returns the task queue of a pool. Agents with the pool's label poll it while they have a free slot. */
export const poolQueue = (pool: string): string => `${POOL_PREFIX}${pool}`;

/** The prefix of every pool's queue. */
export const POOL_PREFIX = 'llm:';

/** Returns the task queue of tasks for one node: sticky tasks, and those that only it may run. */
export const nodeTaskQueue = (nodeId: string): string => `node:${nodeId}:tasks`;

/** Returns the identity with which a node's agent polls and answers. The gateway refuses a node that names another. */
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
/** Returns the prefix of the ids of workflows that a schedule starts; Temporal appends the time. */
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

/** The path at which the control plane serves Temporal's own page, and the public path that Temporal's page starts with. */
export const TEMPORAL_PAGE = '/temporal';
