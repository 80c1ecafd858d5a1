import { ENGINE_CALLS } from '../calls/index.ts';
import type { Command } from './command.ts';
import { doctorCommand } from './doctor.ts';
import { engineCommand } from './engine-command.ts';
import { keysCommand } from './keys.ts';
import { statusCommand } from './status.ts';
import { syncCommands } from './sync.ts';

/** Every command, in the order in which help lists them. Those of the memory engine come from agent/calls. */
export const COMMANDS: readonly Command[] = [
  ...syncCommands,
  statusCommand,
  doctorCommand,
  ...ENGINE_CALLS.filter(({ isInternal }) => isInternal !== true).map(engineCommand),
  keysCommand,
];
