import { expect, it } from 'vitest';
import { z } from 'zod';
import {
  AgentConnection,
  AgentHeartbeat,
  AgentHeartbeatResponse,
  EnrolRequest,
  EnrolResponse,
} from './nodes.ts';

/** What of a schema's definition leads to the schemas in it (Zod 4). */
interface Definition {
  readonly type: string;
  readonly shape?: Record<string, z.core.$ZodType>;
  readonly element?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
}

/** Paths of the enumerations in a schema that refuse a word which they do not know. */
function closedEnums(schema: z.core.$ZodType, path: string): string[] {
  const def = schema._zod.def as unknown as Definition;
  if (def.type === 'enum') return [path];
  // An enumeration behind a step that reads unknown words first.
  if (def.type === 'pipe' && (def.in?._zod.def as { type?: string }).type === 'transform') return [];
  const within: [string, z.core.$ZodType | undefined][] = [
    ...Object.entries(def.shape ?? {}),
    ...(def.options ?? []).map((option): [string, z.core.$ZodType] => ['|', option]),
    ['[]', def.element],
    ['{}', def.valueType],
    ['', def.innerType],
    ['', def.in],
    ['', def.out],
  ];
  return within.flatMap(([step, next]) =>
    next === undefined ? [] : closedEnums(next, step === '' ? path : `${path}.${step}`),
  );
}

it('finds an enumeration wherever it is', () => {
  const nested = z.strictObject({ a: z.array(z.record(z.string(), z.enum(['x']).nullable())).optional() });
  expect(closedEnums(nested, 'A')).toEqual(['A.a.[].{}']);
});

it('reads a word that another version may add, in everything that agents and control planes tell each other regularly', () => {
  const messages = { AgentConnection, AgentHeartbeat, AgentHeartbeatResponse, EnrolRequest, EnrolResponse };
  const closed = Object.entries(messages).flatMap(([name, schema]) => closedEnums(schema, name));
  expect(closed).toEqual([]);
});

it('reads an unknown word as the one that promises least', () => {
  const space = { cid: '0123456789abcdef', projectId: 'p', projects: ['*'], trust: { a: 'quarantine' } };
  const answer = AgentHeartbeatResponse.parse({ ok: true, now: 1, spaces: [space] });
  expect(answer.spaces[0]?.trust).toEqual({ a: 'hold' });
});
