import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { findDebianProgram } from '../../stack/tools.ts';
import { openApiDocument } from './openapi.ts';

/** Returns every `pattern` in a value, each once. */
function patternsOf(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, member] of Object.entries(value)) {
    if (key === 'pattern' && typeof member === 'string') found.add(member);
    else patternsOf(member, found);
  }
  return found;
}

const patterns = [...patternsOf(openApiDocument())];

/**
 * The syntax that JavaScript, Python's re, Java and RE2 (Go) share: no flags, look-around, back references, Unicode
 * classes or named groups.
 */
const SHARED =
  /^\^(?:[A-Za-z0-9_,@ ~"'-]|\\[./\-+*?()[\]{}|^$\\]|\\[dswx](?:(?<=x)[0-9a-f]{2})?|\(\?:|[()|.]|\[\^?(?:[A-Za-z0-9_.,/+@#:* ~-]|\\[\]\\^/-]|\\[ds]|\\x[0-9a-f]{2})+\]|[*+?]|\{\d+(?:,\d*)?\})+\$$/;

test('finds patterns in the API document', () => {
  expect(patterns.length).toBeGreaterThan(10);
});

test.each(patterns)('keeps the pattern %s readable in other languages', (pattern) => {
  expect(pattern).toMatch(SHARED);
});

test.each(['^\\P{Cc}+$/u', '^(?!x)a$', '^a(?<=b)$', '^(?<n>a)$', '^(a)\\1$', '^\\p{L}$', '^\\u0041$', 'a'])(
  'notices a pattern such as %s',
  (pattern) => {
    expect(pattern).not.toMatch(SHARED);
  },
);

test("compiles every pattern of the API document in Python's re", () => {
  const python = findDebianProgram('python', (line) => process.stderr.write(`${line}\n`));
  const script =
    'import json, re, sys\nfor pattern in json.load(sys.stdin): re.compile(pattern)\nprint("all")';
  const said = execFileSync(python, ['-c', script], { input: JSON.stringify(patterns), encoding: 'utf8' });
  expect(said.trim()).toBe('all');
});
