import type { SpaceConfig, Trust } from '../../contract/memory/memory.ts';

/** Why an operation waits that a node wrote which this one does not trust (yet). */
export const NOT_TRUSTED = 'its node is not trusted';

/** What this node does with what another wrote. */
export function trustIn(config: SpaceConfig, node: string): Trust {
  return config.trust?.[node] ?? 'accept';
}

/** Nodes whose operations are not merged. */
export function untrusted(config: SpaceConfig): string[] {
  return Object.entries(config.trust ?? {})
    .filter(([, trust]) => trust !== 'accept')
    .map(([node]) => node);
}
