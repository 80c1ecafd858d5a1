import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseLoosely, safeParseLoosely } from './parse-loosely.ts';

const Inner = z.strictObject({ a: z.number() });
const Schema = z.strictObject({
  list: z.array(Inner),
  map: z.record(z.string(), Inner),
  either: z.union([Inner, z.strictObject({ b: z.string() })]),
  kind: z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('x'), x: Inner })]),
});
const known = {
  list: [{ a: 1 }, { a: 2 }],
  map: { one: { a: 3 } },
  either: { b: 'b' },
  kind: { kind: 'x', x: { a: 4 } },
};

test('drops unknown fields at any depth', () => {
  const sent = {
    ...known,
    new1: 1,
    list: [{ a: 1, new2: { deep: true } }, { a: 2 }],
    map: { one: { a: 3, new3: [] } },
    either: { b: 'b', new4: null },
    kind: { kind: 'x', x: { a: 4, new5: 5 }, new6: 6 },
  };
  const before = structuredClone(sent);
  expect(parseLoosely(Schema, sent)).toEqual(known);
  expect(sent).toEqual(before);
});

test('refuses a missing or wrong field although it drops others', () => {
  expect(safeParseLoosely(Schema, { ...known, new1: 1, list: [{ a: 'one' }] }).success).toBe(false);
  expect(safeParseLoosely(Inner, { new1: 1 }).success).toBe(false);
  expect(() => parseLoosely(Inner, 'text')).toThrow();
});
