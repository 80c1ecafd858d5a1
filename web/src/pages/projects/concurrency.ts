/** How many nodes are served at once unless a person says otherwise: the API's own default. */
export const CONCURRENCY = 4;
