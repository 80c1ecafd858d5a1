/** The Query cache's keys, in one place because live events write under them too. */
export const keys = {
  session: ['session'] as const,
  health: ['health'] as const,
  stats: ['stats'] as const,
  runtimeConfig: ['runtime-config'] as const,
  nodes: ['nodes'] as const,
  spaces: ['spaces'] as const,
  allJobs: ['jobs'] as const,
  jobs: (cid: string, node: string | null) => ['jobs', cid, node] as const,
  job: (id: string) => ['job', id] as const,
  projects: ['projects'] as const,
  projectDue: (id: string) => ['project-due', id] as const,
  allLeadership: ['leadership'] as const,
  leadership: (cid: string) => ['leadership', cid] as const,
};
