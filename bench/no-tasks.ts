/** What an agent of a bench reports that runs no tasks. */
export const NO_TASKS = {
  runner: { kind: 'other', program: 'none', args: [] },
  maxConcurrency: 1,
  labels: [],
  spaces: undefined,
} as const;
