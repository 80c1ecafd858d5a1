/** Messages of the bench to a process of agents. */
export type ToAgents =
  | {
      readonly kind: 'start';
      readonly serverUrl: string;
      readonly folder: string;
      readonly heartbeatMs: number;
      readonly nodes: readonly { readonly id: string; readonly token: string }[];
    }
  /** One node has written a memory that all others lack; its agent notices it. */
  | { readonly kind: 'write'; readonly node: string };

/** Messages of a process of agents to the bench. */
export type FromAgents =
  | { readonly kind: 'polling'; readonly nodes: number }
  /** How many pulls brought something, in total. */
  | { readonly kind: 'pulled'; readonly pulls: number };
