import { describe, expect, it } from 'vitest';
import { findAllTics, findTics, type Rule } from './prose.ts';

describe('prose', () => {
  it('breaks no rule outside the exceptions that prose.ts lists with reasons', () => {
    expect(findAllTics().map(({ file, line, rule, text }) => `${file}:${line}  ${rule}: ${text}`)).toEqual(
      [],
    );
  });

  it.each<[Rule, string, string]>([
    ['told', 'a.ts', '/** The node is told\n * of it. */\nexport const a = `x // y`;'],
    ['anew', 'a.tsx', 'export const a = <p>{/* Draws it anew. */}</p>;'],
    ['goes on', 'a.tsx', 'export const a = <p>The task goes on.</p>;'],
    ['by itself', 'a.ts', "export const a = { hint: 'It starts by itself.' };"],
    ['no more', 'a.md', '# A\n\nIt does\nnot run any more.'],
    ['elsewhere', 'a.md', 'It runs elsewhere.'],
    ['so many', 'a.ts', '// Runs so many.'],
    ['should for if', 'a.ts', '// It waits. Should it fail, it ends.'],
    ['of which', 'a.ts', '// Two. Of which one runs.'],
    ['comes to', 'a.ts', '// It comes to 2.'],
    ['meanwhile', 'a.ts', '// Meanwhile it waits.\nconst a = 1; // It runs meanwhile.'],
    ['long sentence', 'a.ts', `// ${'a\n// '.repeat(25)}b.`],
    ['title start', 'a.test.ts', "it.skipIf(a)('when it ends', () => {});"],
    ['title start', 'a.test.ts', "it.each([1])('because %s', () => {});"],
  ])('refuses "%s" in %s', (rule, file, source) => {
    expect(findTics(file, source).map((finding) => finding.rule)).toEqual([rule]);
  });

  it('accepts code, the length of 25 words, and words beside the banned ones', () => {
    const source = `// ${'a '.repeat(24)}b. At most 5, and no more than 6.\n// See \`anew\`.\nit('requeues it', () => f('is told'));`;
    expect(findTics('a.test.ts', source)).toEqual([]);
    expect(findTics('a.md', '```\nanew\n```\n\nSee `anew`.')).toEqual([]);
  });
});
