import { audit } from './audit.ts';
import { blame } from './blame.ts';
import { collect } from './collect.ts';
import { coverage } from './coverage.ts';
import { deletes } from './deletes.ts';
import { fixDatabase, inspectDatabase } from './doctor.ts';
import type { EngineCall } from './engine-call.ts';
import { legacy } from './legacy.ts';
import { restore } from './restore.ts';
import { revoke } from './revoke.ts';
import { snapshot } from './snapshot.ts';

/** Every call of the memory engine that people can make. A new one is a file of this folder and a line here. */
export const ENGINE_CALLS: readonly EngineCall[] = [
  audit,
  deletes,
  blame,
  revoke,
  restore,
  snapshot,
  collect,
  coverage,
  legacy,
  inspectDatabase,
  fixDatabase,
];

/** The call of a name. @throws Error when there is none: the table is the same on both sides */
export function engineCall(name: string): EngineCall {
  const call = ENGINE_CALLS.find((each) => each.name === name);
  if (call === undefined) throw new Error(`there is no engine call "${name}"`);
  return call;
}
