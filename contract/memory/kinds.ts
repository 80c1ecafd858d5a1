/** The four kinds of memory that are synced, in the order in which they are sent and applied: rows follow their session. */
export const KINDS = ['session', 'prompt', 'summary', 'observation'] as const;
