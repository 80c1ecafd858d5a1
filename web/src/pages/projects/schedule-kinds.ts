/** The repeated actions of a project. `first` is the expression with which turning one on starts. */
export const SCHEDULES = {
  memory: {
    field: 'memory_schedule',
    title: 'Sync memory',
    what: 'On every online node, besides the continual sync.',
    first: '0 * * * *',
  },
  fetch: {
    field: 'fetch_schedule',
    title: 'Fetch',
    what: 'Every clone fetches, and reports how far it is behind.',
    first: '0 */6 * * *',
  },
  update: {
    field: 'update_schedule',
    title: 'Update',
    what: 'Clones on online nodes follow the remote. Local work stays.',
    first: '0 * * * *',
  },
} as const;
export type ScheduleKind = keyof typeof SCHEDULES;

/** The most common expressions. */
export const PRESETS = [
  { value: '0 * * * *', label: 'Hourly' },
  { value: '0 */6 * * *', label: 'Every 6 hours' },
  { value: '0 3 * * *', label: 'Nightly' },
] as const;
