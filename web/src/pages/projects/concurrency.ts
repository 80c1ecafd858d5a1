/** How many nodes are served at the same time by default, as in the API. */
export const CONCURRENCY = 4;
