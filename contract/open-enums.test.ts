import { expect, it } from 'vitest';
import { z } from 'zod';
import {
  AgentConnection,
  AgentHeartbeat,
  AgentHeartbeatResponse,
  EnrolRequest,
  EnrolResponse,
} from './nodes.ts';

/**
 * Paths of the enumerations in a schema, as its JSON Schema has them, that refuse a word which they do not know. A step before an
 * enumeration (`openEnum`) reads such words.
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

it('finds an enumeration wherever it is', () => {
  const nested = z.strictObject({ a: z.array(z.record(z.string(), z.enum(['x']).nullable())).optional() });
  expect(closedEnums(nested)).toEqual(['/properties/a/items/additionalProperties/anyOf/0']);
});

it('reads a word that another version may add, in everything that agents and control planes tell each other regularly', () => {
  const messages = { AgentConnection, AgentHeartbeat, AgentHeartbeatResponse, EnrolRequest, EnrolResponse };
  for (const [name, schema] of Object.entries(messages))
    expect([name, closedEnums(schema)]).toEqual([name, []]);
});

it('reads an unknown word as the one that promises least', () => {
  const space = { cid: '0123456789abcdef', projectId: 'p', projects: ['*'], trust: { a: 'quarantine' } };
  const answer = AgentHeartbeatResponse.parse({ ok: true, now: 1, spaces: [space] });
  expect(answer.spaces[0]?.trust).toEqual({ a: 'hold' });
});
