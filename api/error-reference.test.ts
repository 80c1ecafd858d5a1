import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ERRORS, problemType } from '../contract/errors.ts';
import { SECTIONS, errorsMarkdown, errorsPage } from './error-reference.ts';

test('docs/errors.md is current (node api/write-errors.ts makes it)', async () => {
  const written = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8');
  expect(written).toBe(errorsMarkdown());
});

test('each code is in exactly one section', () => {
  const codes = SECTIONS.flatMap((section) => section.codes);
  expect(codes.toSorted()).toEqual(Object.keys(ERRORS).toSorted());
});

test('the type of a problem leads to a heading of the page', () => {
  const page = errorsPage('/membridge');
  for (const { codes } of SECTIONS) {
    for (const code of codes) {
      const [address, anchor] = problemType(code, '/membridge').split('#');
      expect(address).toBe('/membridge/docs/errors');
      expect(page).toContain(`id="${anchor}"`);
    }
  }
});

test('each title and each help is plain: no full stop after a title, at most two sentences of help', () => {
  for (const [code, { title, help }] of Object.entries(ERRORS)) {
    expect([code, title]).toEqual([code, expect.not.stringMatching(/\.$/)]);
    expect([code, help.match(/[.!](\s|$)/g)?.length ?? 0]).toEqual([
      code,
      expect.toSatisfy((n: number) => n >= 1 && n <= 2),
    ]);
  }
});
