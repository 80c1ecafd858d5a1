import type { Trust } from '../../contract/memory/memory.ts';
import { readable } from './inventory.ts';
import type { Machine } from './machine.ts';
import type { Model } from './model.ts';

/** What a person may set for another node's memories. */
export const TRUSTS = ['hold', 'ignore', 'accept'] as const satisfies readonly Trust[];

/**
 * Sets a machine's trust in a node.
 * @returns what the machine shows although it must not accept it
 */
export function setTrust(machine: Machine, node: string, trust: Trust, model: Model): string[] {
  if (node === machine.node) return [];
  const shown = findUntrusted(machine, node, model);
  if (trust === 'accept') {
    machine.trust.delete(node);
    machine.hadBefore.delete(node);
  } else {
    machine.trust.set(node, trust);
    if (!machine.hadBefore.has(node)) machine.hadBefore.set(node, new Set(machine.counts().keys()));
  }
  return shown;
}

/** Makes a machine accept every node's memories. @returns as setTrust */
export function trustEverybody(machine: Machine, model: Model): string[] {
  return [...machine.trust.keys()].flatMap((node) => setTrust(machine, node, 'accept', model));
}

/** Returns memories of a node that came in, from any node, since the machine stopped accepting them. */
function findUntrusted(machine: Machine, node: string, model: Model): string[] {
  const had = machine.hadBefore.get(node);
  if (had === undefined) return [];
  return [...machine.counts().keys()]
    .filter((identity) => !had.has(identity) && model.isOnlyOf(identity, node))
    .map((identity) => `${machine.name} shows ${readable(identity)} although it does not trust ${node}`);
}
