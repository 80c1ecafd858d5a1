/** What the bench tells a process of agents. */
export type ToAgents =
  | {
      readonly kind: 'start';
      readonly serverUrl: string;
      readonly folder: string;
      readonly heartbeatMs: number;
      readonly nodes: readonly { readonly id: string; readonly token: string }[];
    }
  /** One node has written a memory that every other one lacks; its agent notices it. */
  | { readonly kind: 'write'; readonly node: string };

/** What a process of agents tells the bench. */
export type FromAgents =
  | { readonly kind: 'polling'; readonly nodes: number }
  /** How many pulls brought something, in all. */
  | { readonly kind: 'pulled'; readonly pulls: number };
