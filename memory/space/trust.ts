import type { SpaceConfig, Trust } from '../../contract/memory/memory.ts';

/** Reason for an operation that waits because its writer is not trusted (yet). */
export const NOT_TRUSTED = 'its node is not trusted';

/** Returns what this node does with another node's writes. */
export function trustOf(config: SpaceConfig, node: string): Trust {
  return config.trust?.[node] ?? 'accept';
}

/** Returns the nodes whose operations are not merged. */
export function listUntrusted(config: SpaceConfig): string[] {
  return Object.entries(config.trust ?? {})
    .filter(([, trust]) => trust !== 'accept')
    .map(([node]) => node);
}
