import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeQueue, nodeTaskQueue, poolQueue } from '../names.ts';
import {
  MAX_WORKING_CLOCK_OFF_MS,
  ONLINE_WITHIN_MS,
  decideStanding,
  type NodeReport,
} from './node-standing.ts';

const NOW = 1_800_000_000_000;
const ID = 'x';
const MINUTE = 60_000;
const QUEUES = [nodeQueue(ID), nodeTaskQueue(ID), poolQueue('default'), poolQueue('gpu')];

const able: NodeReport = {
  id: ID,
  lastHeartbeat: NOW - 1_000,
  drained: false,
  dryrun: false,
  capabilities: { claude_cli: true, labels: ['gpu'] },
  sandbox: { refuses: false, detail: null },
  work: { queues: QUEUES, engine: null, store: null, clock_ahead_ms: 0, program: null, waits: [] },
};
const work = (change: Partial<NonNullable<NodeReport['work']>>): NodeReport => ({
  ...able,
  work: { ...able.work, ...change } as NonNullable<NodeReport['work']>,
});

describe('the standing of a node', () => {
  it.each<[string, NodeReport, string]>([
    ['takes work when all is well', able, 'online, takes work'],
    ['is unknown before the first report', { ...able, lastHeartbeat: null }, 'has never reported'],
    ['is offline after silence', { ...able, lastHeartbeat: NOW - ONLINE_WITHIN_MS - 1 }, 'offline'],
    [
      'names a clock that is ahead, and not the store that refuses its time',
      work({ clock_ahead_ms: 16 * MINUTE, store: 'the time is wrong' }),
      'online, does not take work: the clock of node x is 16 minutes off (ahead)',
    ],
    [
      'names a clock that is behind',
      work({ clock_ahead_ms: -20 * MINUTE }),
      'online, does not take work: the clock of node x is 20 minutes off (behind)',
    ],
    [
      'names Temporal',
      work({ engine: 'refused', queues: [] }),
      'online, does not take work: it does not reach Temporal (refused)',
    ],
    [
      'names the object store',
      work({ store: 'refused' }),
      'online, does not take work: it does not reach the object store (refused)',
    ],
    [
      'names its queue',
      work({ queues: [] }),
      'online, does not take work: it does not poll its queue in Temporal yet',
    ],
    [
      'names the queues of tasks',
      work({ queues: QUEUES.slice(0, 2) }),
      'online, takes no tasks: it does not poll the queues of tasks yet',
    ],
    [
      'names a program that is not there',
      work({ program: 'the program claude is not installed on it' }),
      'online, takes no tasks: the program claude is not installed on it',
    ],
    ['says that it is drained', { ...able, drained: true }, 'online, takes no tasks: it is drained'],
    [
      'takes an agent that does not report its work at its word',
      { ...able, work: null },
      'online, takes work',
    ],
    [
      'names results that wait for the store',
      work({ store: 'refused', waits: ['task_1'] }),
      'online, does not take work: it does not reach the object store (refused); the result of task_1 waits for the object store',
    ],
  ])('%s', (_title, report, sentence) => {
    expect(decideStanding(report, NOW).sentence).toBe(sentence);
  });

  const sentence = fc.option(fc.string({ minLength: 1, maxLength: 40 }), { nil: null });
  const anyReport: fc.Arbitrary<NodeReport> = fc.record({
    id: fc.constant(ID),
    lastHeartbeat: fc.option(fc.integer({ min: NOW - 60_000, max: NOW + 1_000 }), { nil: null }),
    drained: fc.boolean(),
    dryrun: fc.boolean(),
    capabilities: fc.record({ claude_cli: fc.boolean(), labels: fc.subarray(['gpu', 'big']) }),
    sandbox: fc.option(fc.record({ refuses: fc.boolean(), detail: sentence }), { nil: null }),
    work: fc.option(
      fc.record({
        queues: fc.subarray([...QUEUES, poolQueue('big')]),
        engine: sentence,
        store: sentence,
        clock_ahead_ms: fc.option(fc.integer({ min: -30 * MINUTE, max: 30 * MINUTE }), { nil: null }),
        program: sentence,
        waits: fc.array(fc.constant('task_1'), { maxLength: 2 }),
      }),
      { nil: null },
    ),
  });

  it('never reports that a node takes work when it cannot', () => {
    fc.assert(
      fc.property(anyReport, (report) => {
        const standing = decideStanding(report, NOW);
        const there = report.lastHeartbeat !== null && NOW - report.lastHeartbeat <= ONLINE_WITHIN_MS;
        const found = report.work;
        const canWork =
          there &&
          (found === null ||
            (found.engine === null &&
              found.store === null &&
              found.queues.includes(nodeQueue(ID)) &&
              Math.abs(found.clock_ahead_ms ?? 0) <= MAX_WORKING_CLOCK_OFF_MS));
        const queues = [nodeTaskQueue(ID), ...['default', ...report.capabilities.labels].map(poolQueue)];
        const canDoTasks =
          canWork &&
          !report.drained &&
          !report.dryrun &&
          report.sandbox?.refuses !== true &&
          report.capabilities.claude_cli &&
          (found === null ||
            (found.program === null && queues.every((queue) => found.queues.includes(queue))));
        expect([standing.takes_work, standing.takes_tasks]).toEqual([canWork, canDoTasks]);
        expect(standing.sentence.startsWith('online, takes work')).toBe(canDoTasks);
        expect(standing.sentence.startsWith('online')).toBe(there);
      }),
    );
  });

  it('gives a reason whenever an online node takes no tasks', () => {
    fc.assert(
      fc.property(anyReport, (report) => {
        const { presence, takes_tasks: takesTasks, sentence: said } = decideStanding(report, NOW);
        if (presence === 'online' && !takesTasks) {
          expect(said).toMatch(/^online, (?:does not take work|takes no tasks): ./s);
        }
      }),
    );
  });
});
