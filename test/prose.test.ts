import { describe, expect, it } from 'vitest';
import { findAllTics, findTics, type Finding, type Rule } from './prose.ts';

/**
 * How many findings a room may still hold. A number may only fall; a room or rule without a number may hold none.
 * A room is a first-level folder, and `.` is the root.
 */
const ALLOWED: Readonly<Record<string, Partial<Record<Rule, number>>>> = {
  '.': { anew: 3, elsewhere: 3, 'no more': 1, 'so many': 1, told: 2 },
  activities: { elsewhere: 1, 'goes on': 1, 'long sentence': 2, 'no more': 3, told: 6 },
  contract: { elsewhere: 2, 'so many': 1 },
  db: {
    anew: 4,
    'by itself': 3,
    'comes to': 1,
    'goes on': 5,
    'long sentence': 25,
    meanwhile: 3,
    'no more': 6,
    'so many': 2,
    told: 15,
  },
  docs: {
    anew: 3,
    'by itself': 4,
    elsewhere: 6,
    'goes on': 16,
    meanwhile: 2,
    'no more': 5,
    'should for if': 1,
    'so many': 3,
    told: 25,
  },
  engine: { anew: 3, 'goes on': 3, 'long sentence': 2, 'no more': 1 },
  git: {
    anew: 1,
    'by itself': 1,
    elsewhere: 4,
    'goes on': 4,
    'long sentence': 16,
    'no more': 2,
    'so many': 4,
    'title start': 24,
    told: 12,
  },
  memory: {
    anew: 21,
    'by itself': 6,
    elsewhere: 8,
    'goes on': 20,
    'long sentence': 99,
    meanwhile: 1,
    'no more': 16,
    'of which': 2,
    'so many': 6,
    'title start': 36,
    told: 140,
  },
  runner: {
    anew: 5,
    'by itself': 4,
    'comes to': 2,
    elsewhere: 2,
    'goes on': 10,
    'long sentence': 11,
    'no more': 2,
    'should for if': 1,
    'so many': 6,
    'title start': 8,
    told: 7,
  },
  storage: { 'comes to': 1, 'long sentence': 1 },
  workflows: {
    anew: 2,
    'by itself': 1,
    'goes on': 3,
    'long sentence': 12,
    meanwhile: 4,
    'no more': 7,
    'should for if': 2,
    'so many': 5,
    'title start': 23,
    told: 13,
  },
};

/** Returns the findings by room and rule. */
function byRoom(findings: readonly Finding[]): Map<string, Finding[]> {
  return Map.groupBy(
    findings,
    ({ file, rule }) => `${file.includes('/') ? file.split('/')[0] : '.'}  ${rule}`,
  );
}

describe('prose', () => {
  it('holds no more findings in a room than the table allows', () => {
    const rooms = byRoom(findAllTics());
    const excess: string[] = [];
    for (const [key, findings] of [...rooms].toSorted()) {
      const [room = '', rule = ''] = key.split('  ');
      const allowed = ALLOWED[room]?.[rule as Rule] ?? 0;
      process.stdout.write(`${key}: ${findings.length} of ${allowed}\n`);
      if (findings.length > allowed)
        excess.push(...findings.map(({ file, line, text }) => `${file}:${line}  ${rule}: ${text}`));
    }
    expect(excess).toEqual([]);
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
