import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROPOSAL_BYTES, pathProblem, readProposal, type ProposalContent } from './proposal-content.ts';

const DIFF = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old\n+new\n \n';
const PLAIN = '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n';

const of = (text: string): ProposalContent => {
  const read = readProposal(text);
  if (!read.ok) throw new Error(read.problem);
  return read.proposal;
};
const problemOf = (text: string): string => {
  const read = readProposal(text);
  if (read.ok) throw new Error(`it was read as ${JSON.stringify(read.proposal)}`);
  return read.problem;
};

describe('readProposal', () => {
  it('accepts JSON of a patch or of a file', () => {
    const given = { title: ' Correct\nit ', kind: 'patch', patch: PLAIN, expected_version: 'ABCDEF0' };
    expect(of(JSON.stringify(given))).toEqual({
      title: 'Correct it',
      kind: 'patch',
      content: PLAIN,
      path: null,
      expectedVersion: 'abcdef0',
    });
    expect(of(`\n${JSON.stringify({ kind: 'file', path: 'notes/a b.md', content: '' })}\n`)).toEqual({
      title: null,
      kind: 'file',
      content: '',
      path: 'notes/a b.md',
      expectedVersion: null,
    });
  });

  it('accepts a unified diff, and keeps its last blank', () => {
    for (const diff of [DIFF, PLAIN]) {
      expect(of(diff)).toMatchObject({ kind: 'patch', content: diff, title: null });
      expect(of(`\n\n${diff.slice(0, -1)}`).content).toBe(diff);
    }
  });

  it('finds the one diff block in a text, even when its lines look like the end of a block', () => {
    const diff = DIFF.replace('-old\n', '-old\n ```\n');
    expect(of(`Here is what I would change:\n\n\`\`\`diff\n${diff}\`\`\`\n\nAnd why.`).content).toBe(diff);
    expect(of(`~~~~ diff\n${DIFF}~~~~`).content).toBe(DIFF);
  });

  it('accepts JSON in a block', () => {
    const json = JSON.stringify({ kind: 'patch', patch: PLAIN });
    expect(of(`Sure.\n\`\`\`json\n${json}\n\`\`\``).content).toBe(PLAIN);
  });

  it('ignores additional fields', () => {
    expect(of(JSON.stringify({ kind: 'patch', patch: PLAIN, why: 'because' })).kind).toBe('patch');
  });
});

describe('readProposal with wrong content', () => {
  it.each([
    ['', /empty/],
    ['I would rather not.', /is not a proposal.*unified diff/],
    ['{"kind":', /starts like JSON but is not valid JSON/],
    [JSON.stringify({ kind: 'other' }), /kind: .*expected/i],
    [JSON.stringify({ kind: 'file', content: 'x' }), /path: /],
    [JSON.stringify({ kind: 'patch', patch: 'replace x by y' }), /"patch" is not a unified diff/],
    [
      JSON.stringify({ kind: 'patch', patch: PLAIN, expected_version: 'main' }),
      /expected_version: must be a commit/,
    ],
    ['--- a/x\n+++ b/x\n', /changes nothing/],
    [`\`\`\`diff\n${PLAIN}\`\`\`\n\`\`\`diff\n${PLAIN}\`\`\``, /2 blocks of diff; one is expected/],
    ['```diff\n-a\n+b\n```', /no file header/],
    [`\`\`\`diff\n${PLAIN}`, /is not a proposal/],
    [`${PLAIN}\0`, /NUL/],
    ['x'.repeat(PROPOSAL_BYTES + 1), /larger than 1 MiB/],
    ['é'.repeat(PROPOSAL_BYTES / 2 + 1), /larger than 1 MiB/],
  ])('says what is wrong with %.40j, and what it expects', (text, expected) => {
    expect(problemOf(text)).toMatch(expected);
  });

  it.each([
    '/etc/passwd',
    '../x',
    'a/../../x',
    './x',
    'a//x',
    'a/',
    '.git/config',
    'a/.GIT/hooks/x',
    '.git./config',
    'git~1/config',
    '.g\u200cit/config',
    '.gitmodules',
    'a\\b',
    'C:x',
    'a\nb',
    'x'.repeat(1_025),
  ])('refuses the path %j and says why', (path) => {
    expect(problemOf(JSON.stringify({ kind: 'file', path, content: '' }))).toMatch(/^"path" /);
  });

  it('always answers, and never accepts a path outside of the repository', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(typeof readProposal(text).ok).toBe('boolean');
      }),
    );
    const part = fc.constantFrom('a', '.', '..', '', '.git', '.GIT ', 'b.md', '~', ' ');
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        if (pathProblem(parts.join('/')) !== null) return;
        expect(parts.some((each) => ['', '.', '..'].includes(each) || /^\.git\b/i.test(each))).toBe(false);
      }),
    );
  });
});
