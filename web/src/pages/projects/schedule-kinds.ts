/** What a project can do again and again. `first` is the expression that turning it on begins with. */
export const SCHEDULES = {
  memory: {
    field: 'memory_schedule',
    title: 'Sync memory',
    what: 'On every node that is online, besides the continual sync.',
    first: '0 * * * *',
  },
  fetch: {
    field: 'fetch_schedule',
    title: 'Fetch',
    what: 'Every clone asks its remote how far behind it is.',
    first: '0 */6 * * *',
  },
  update: {
    field: 'update_schedule',
    title: 'Update',
    what: 'Clones on nodes that are online follow the remote. Local work stays.',
    first: '0 * * * *',
  },
} as const;
export type ScheduleKind = keyof typeof SCHEDULES;

/** Expressions that are asked for most. */
export const PRESETS = [
  { value: '0 * * * *', label: 'Hourly' },
  { value: '0 */6 * * *', label: 'Every 6 hours' },
  { value: '0 3 * * *', label: 'Nightly' },
] as const;
