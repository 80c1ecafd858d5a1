/** Statuses in which a task stays until a person queues it again; `completed` and `cancelled` are final. No Zod: workflows import this. */
const TERMINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'dead', 'cancelled']);

/** Returns whether a task with this status has ended. */
export const isTerminal = (status: string): boolean => TERMINAL.has(status);

/** Returns whether a worker can be given a lease of a task with this status. */
export const isLeasable = (status: string): boolean => status === 'queued';
