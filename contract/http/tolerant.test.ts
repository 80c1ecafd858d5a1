import { expect, test } from 'vitest';
import { z } from 'zod';
import { ignoredNames, parseTolerantly } from './tolerant.ts';

const Body = z.strictObject({
  name: z.string(),
  inner: z.strictObject({ a: z.number() }).optional(),
  list: z.array(z.strictObject({ b: z.number() })).optional(),
});
const Query = z.strictObject({ limit: z.coerce.number().int().min(1).max(200).default(50) });

test('drops unknown fields at any depth, and names each', () => {
  const given = { name: 'n', x: 1, inner: { a: 1, y: 2 }, list: [{ b: 1 }, { b: 2, z: 3 }] };
  const { parsed, ignored } = parseTolerantly('body', Body, given);
  expect(parsed.data).toEqual({ name: 'n', inner: { a: 1 }, list: [{ b: 1 }, { b: 2 }] });
  expect(new Set(ignored)).toEqual(new Set(['body.x', 'body.inner.y', 'body.list.1.z']));
  expect(given).toHaveProperty('x');
});

test('still refuses wrong fields, and names only those', () => {
  const { parsed } = parseTolerantly('body', Body, { name: 7, x: 1 });
  expect(parsed.error?.issues.map(({ path }) => path.join('.'))).toEqual(['name']);
});

test.each([
  ['1000', 200],
  ['0', 1],
  ['many', 50],
])('moves the limit %s to %d', (limit, moved) => {
  const { parsed, ignored } = parseTolerantly('query', Query, { limit });
  expect(parsed.data).toEqual({ limit: moved });
  expect(ignored).toEqual(['query.limit']);
});

test('leaves a limit in a body unchanged', () => {
  const { parsed } = parseTolerantly('body', z.strictObject({ limit: z.number().max(5) }), { limit: 9 });
  expect(parsed.success).toBe(false);
});

test('encodes, cuts and counts names, so that they fit into a header', () => {
  expect(ignoredNames(['body.a\r\nX-Evil: 1'])).toBe('body.a%0D%0AX-Evil%3A%201');
  expect(ignoredNames(['body.\ud800'])).toBe('body.%EF%BF%BD');
  expect(ignoredNames(Array.from({ length: 22 }, (_, at) => `body.${at}`))).toMatch(/, and 2 more$/);
});
