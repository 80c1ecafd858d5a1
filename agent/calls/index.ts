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

/** Every call of the memory engine that people can make. To add one, add a file to this folder and a line here. */
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

/** Returns the call with a name. @throws Error when there is none: thread and agent share the table */
export function findEngineCall(name: string): EngineCall {
  const call = ENGINE_CALLS.find((each) => each.name === name);
  if (call === undefined) throw new Error(`there is no engine call "${name}"`);
  return call;
}
