// Every workflow that the control worker runs.
export { memorySpace } from './memory-space.ts';
export { syncMemory } from './sync-memory.ts';
export { cloneProject } from './clone-project.ts';
export { propagateProject } from './propagate-project.ts';
export { projectMemorySync } from './project-memory-sync.ts';
export { leadership } from './leadership.ts';
export { llmTask } from './llm-task.ts';
export { deliverWebhook } from './deliver-webhook.ts';
export { runTaskSchedule } from './run-task-schedule.ts';
export { applyProposal } from './apply-proposal.ts';
export { previewProposal } from './preview-proposal.ts';
