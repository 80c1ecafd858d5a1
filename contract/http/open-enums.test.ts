import { expect, it } from 'vitest';
import { z } from 'zod';
import {
  AgentConnection,
  AgentHeartbeat,
  AgentHeartbeatResponse,
  EnrolRequest,
  EnrolResponse,
} from '../nodes/nodes.ts';

/**
 * Returns the enumerations of a schema that refuse unknown words, as paths in its JSON Schema. `openEnum` makes none
 * of these.
 */
function closedEnums(schema: z.ZodType): string[] {
  const closed: string[] = [];
  const look = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) return;
    if ('enum' in part) closed.push(path);
    for (const [step, within] of Object.entries(part)) look(within, `${path}/${step}`);
  };
  const json = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema instanceof z.ZodPipe && zodSchema.in instanceof z.ZodTransform) delete jsonSchema.enum;
    },
  });
  look(json, '');
  return closed;
}

it('closedEnums finds an enumeration at every depth', () => {
  const nested = z.strictObject({ a: z.array(z.record(z.string(), z.enum(['x']).nullable())).optional() });
  expect(closedEnums(nested)).toEqual(['/properties/a/items/additionalProperties/anyOf/0']);
});

it('every message between agents and control planes accepts unknown words in its enumerations', () => {
  const messages = { AgentConnection, AgentHeartbeat, AgentHeartbeatResponse, EnrolRequest, EnrolResponse };
  for (const [name, schema] of Object.entries(messages))
    expect([name, closedEnums(schema)]).toEqual([name, []]);
});

it('a heartbeat answer with an unknown trust means hold', () => {
  const space = { cid: '0123456789abcdef', projectId: 'p', projects: ['*'], trust: { a: 'quarantine' } };
  const answer = AgentHeartbeatResponse.parse({ ok: true, now: 1, spaces: [space] });
  expect(answer.spaces[0]?.trust).toEqual({ a: 'hold' });
});
