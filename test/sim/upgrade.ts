import { upgradeDatabase } from '../../fixtures/claude-mem/upgrade.ts';
import type { Dice } from './dice.ts';
import type { Machine } from './machine.ts';
import { RELEASES } from './steps.ts';

/**
 * Upgrades a machine's claude-mem to a later release: its tables are changed in place, whatever sessions are in use.
 * @returns whether there is a later one
 */
export function upgradeMachine(machine: Machine, dice: Dice): boolean {
  const later = RELEASES.slice(RELEASES.findIndex((release) => release === machine.release) + 1);
  // The upgrade rebuilds the indexes, which claude-mem cannot do with damaged ones.
  if (later.length === 0 || machine.isIndexDamaged) return false;
  machine.release = dice.pick(later);
  upgradeDatabase(machine.worker, machine.release);
  // The connection's knowledge of its tables is outdated.
  machine.closeWorker();
  return true;
}
