import { describe, expect, it } from 'vitest';
import { countClones, type ProjectNodeStatus } from '../../../contract/projects/projects.ts';
import { readCron } from './cron-words.ts';
import { driftSummary, driftWords } from './project-words.ts';

const clone = (part: Partial<ProjectNodeStatus>): ProjectNodeStatus =>
  ({ clone_status: 'cloned', commit: 'a', behind: 0, ahead: 0, dirty: 0, ...part }) as ProjectNodeStatus;

describe('the drift of clones in words', () => {
  it.each([
    [{}, ['up to date']],
    [{ behind: 3 }, ['3 commits behind']],
    [{ behind: 1, ahead: 2, dirty: 1 }, ['1 changed file', '2 commits ahead', '1 commit behind']],
    [{ behind: null, ahead: null }, ['no such branch on the remote']],
    [{ behind: null, ahead: null, dirty: null }, []],
  ])('describes %j as %j', (part, words) => expect(driftWords(clone(part))).toEqual(words));

  it('counts clones that differ, and ignores unknown ones', () => {
    expect(driftSummary(countClones([clone({ behind: 2 }), clone({ behind: 1, dirty: 4 }), clone({})]))).toBe(
      '2 behind, 1 with changed files',
    );
    expect(driftSummary(countClones([clone({})]))).toBe('up to date');
    expect(
      driftSummary(countClones([clone({ dirty: null }), clone({ clone_status: 'pending', commit: null })])),
    ).toBe('');
  });
});

describe('a cron expression in words', () => {
  it.each([
    ['* * * * *', 'Every minute (UTC)'],
    ['*/15 * * * *', 'Every 15 minutes (UTC)'],
    ['0 * * * *', 'Every hour (UTC)'],
    ['5,35 * * * *', 'Every hour, at minute 5 and 35 (UTC)'],
    ['0 */6 * * *', 'Every 6 hours (UTC)'],
    ['30 3 * * *', 'At 03:30 (UTC)'],
    ['0 8,18 * * MON-FRI', 'At 08:00 and 18:00, on Monday to Friday (UTC)'],
    ['*/10 9-17 * * 1', 'Every 10 minutes from 09:00 to 17:59, on Monday (UTC)'],
    ['0 4 1 1,7 *', 'At 04:00, on day 1 of the month in January and July (UTC)'],
    ['0 4 1 * 0', 'At 04:00, on day 1 of the month or on Sunday (UTC)'],
  ])('%s', (expression, words) => expect(readCron(expression)).toEqual({ words }));

  it.each([
    ['0 0 * *', /five fields/],
    ['61 * * * *', /minute "61"/],
    ['0 24 * * *', /hour "24"/],
    ['0 0 0 * *', /day of the month "0"/],
    ['0 0 * * Fnord', /day of the week "Fnord"/],
    ['*/0 * * * *', /step of 0/],
  ])('reports %s as invalid', (expression, problem) =>
    expect(readCron(expression)).toEqual({ problem: expect.stringMatching(problem) }),
  );
});
