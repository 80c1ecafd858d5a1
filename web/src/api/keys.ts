import type { AuditFilter, TaskFilter } from './filters.ts';

/** The Query cache's keys, in one place because live events write under them too. */
export const keys = {
  session: ['session'] as const,
  health: ['health'] as const,
  stats: ['stats'] as const,
  runtimeConfig: ['runtime-config'] as const,
  nodes: ['nodes'] as const,
  spaces: ['spaces'] as const,
  reportedProjects: ['reported-projects'] as const,
  allJobs: ['jobs'] as const,
  jobs: (cid: string, node: string | null) => ['jobs', cid, node] as const,
  job: (id: string) => ['job', id] as const,
  projects: ['projects'] as const,
  projectDue: (id: string) => ['project-due', id] as const,
  allLeadership: ['leadership'] as const,
  leadership: (cid: string) => ['leadership', cid] as const,
  allTasks: ['tasks'] as const,
  tasks: (filter: TaskFilter) => ['tasks', filter] as const,
  task: (id: string) => ['task', id] as const,
  taskLeases: (id: string) => ['task-leases', id] as const,
  /** What an attempt leaves behind: results, artifacts and entries of the audit log. */
  taskRecords: (id: string) => ['task-records', id] as const,
  taskResults: (id: string) => [...keys.taskRecords(id), 'results'] as const,
  taskArtifacts: (id: string) => [...keys.taskRecords(id), 'artifacts'] as const,
  taskAudit: (id: string) => [...keys.taskRecords(id), 'audit'] as const,
  taskProposals: (id: string) => [...keys.taskRecords(id), 'proposals'] as const,
  /** What is asked for anew when any task changes. */
  activity: ['task-activity'] as const,
  activeLeases: ['task-activity', 'leases'] as const,
  runs: ['task-activity', 'runs'] as const,
  allProposals: ['proposals'] as const,
  proposals: (status: string | undefined) => ['proposals', status] as const,
  proposal: (id: string) => ['proposal', id] as const,
  audit: (filter: AuditFilter) => ['audit', filter] as const,
  taskSettings: ['task-settings'] as const,
  taskSchedules: ['task-schedules'] as const,
};
