import { describe, expect, it } from 'vitest';
import { ZodError } from 'zod';
import { readOperationLine } from './operation-line.ts';

const KEY = 'a'.repeat(64);
const plain = { kind: 'observation', key: KEY, ver: [1, 2, 'node-a'], set: { title: 'one', tokens: 3 } };
const line = (fields: object): string => JSON.stringify({ ...plain, ...fields });

describe('readOperationLine', () => {
  it('reads a line of texts, numbers and NULL unchanged', () => {
    const said = { ...plain, n: 1, of: { platform: 'claude', session: 's' }, regs: { project: [3, 4, 'b'] } };
    expect(readOperationLine(JSON.stringify(said))).toEqual(said);
    expect(readOperationLine(line({ up: { project: null } }))).toEqual({ ...plain, up: { project: null } });
  });

  it('reads bytes and large numbers through the schema', () => {
    const set = {
      text: { $text: 'gIE=' },
      metadata: { $blob: 'AAE=' },
      tokens: { $int: '9007199254740993' },
    };
    expect(readOperationLine(line({ set }))).toEqual({ ...plain, set });
  });

  it.each([
    ['an unknown kind', line({ kind: 'note' })],
    ['a kind that objects have by birth', line({ kind: 'toString' })],
    ['a key in upper case', line({ key: 'A'.repeat(64) })],
    ['a counter of 0', line({ ver: [0, 2, 'a'] })],
    ['a counter above 2^40', line({ ver: [2 ** 40 + 1, 2, 'a'] })],
    ['a clock above 2^53', line({ ver: [1, 2 ** 53, 'a'] })],
    ['a node without a name', line({ ver: [1, 2, ''] })],
    ['a version of four', line({ ver: [1, 2, 'a', 3] })],
    ['a field that no operation has', line({ note: 1 })],
    ['a session with a field too many', line({ of: { platform: 'c', session: 's', memory: 'm' } })],
    ['a session of a number', line({ of: { memory: 1 } })],
    ['a truth as a value', line({ set: { title: true } })],
    ['a list as a value', line({ set: { title: ['one'] } })],
    ['a list for columns', line({ set: ['one'] })],
    ['a number that is infinite', line({}).replace(':3}', ':1e999}')],
    ['a register without a version', line({ regs: { project: null } })],
    ['a deletion that is none', line({ del: false })],
    ['text for an object', '"text"'],
    ['nothing for an object', 'null'],
  ])('refuses %s', (_what, bad) => {
    expect(() => readOperationLine(bad)).toThrow(ZodError);
  });

  it('drops a column named __proto__', () => {
    const read = readOperationLine(line({}).replace('"title"', '"__proto__":"x","title"'));
    expect(Object.keys(read.set ?? {})).toEqual(['title', 'tokens']);
  });
});
