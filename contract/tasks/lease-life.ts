/**
 * How long a lease of an agent lives without a heartbeat, in seconds. An agent renews every three seconds, so a shorter life than 5 s
 * would end while the agent works.
 */
export const AGENT_LEASE_SECONDS = { default: 30, min: 5, max: 3_600 } as const;

/** The same for a worker over HTTP, with the original's default. */
export const HTTP_LEASE_SECONDS = { default: 300, min: 1, max: 86_400 } as const;
