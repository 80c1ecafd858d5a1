import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Waves, type Work } from './waves.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('serves each node one piece of work at a time, and everything asked after a request', async () => {
  const Step = fc.record({
    node: fc.constantFrom('a', 'b', 'c', 'd'),
    push: fc.boolean(),
    turns: fc.nat(3),
    isDone: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(Step, { maxLength: 30 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, atOnce) => {
        const running = new Set<string>();
        const open = new Map<string, { push: number; pull: number }>();
        let asked = 0;
        let at = 0;
        const waves = new Waves<number>({
          atOnce,
          rest: turn,
          serve: async (node, work: Work<number>) => {
            expect(running.has(node)).toBe(false);
            running.add(node);
            expect(running.size).toBeLessThanOrEqual(atOnce);
            const began = asked;
            const { turns = 0, isDone = true } = steps[at] ?? {};
            at += 1;
            for (let n = 0; n <= turns; n += 1) await turn();
            running.delete(node);
            const wants = open.get(node);
            if (wants !== undefined && work.push && wants.push <= began) wants.push = 0;
            if (wants !== undefined && work.pull && wants.pull <= began) wants.pull = 0;
            return isDone;
          },
        });
        for (const { node, push, turns } of steps) {
          asked += 1;
          const wants = open.get(node) ?? { push: 0, pull: 0 };
          open.set(node, push ? { ...wants, push: asked } : { ...wants, pull: asked });
          waves.ask(node, { push, pull: !push, full: false, config: asked });
          for (let n = 0; n < turns; n += 1) await turn();
        }
        for (let n = 0; n < 500; n += 1) await turn();
        expect(waves.isIdle).toBe(true);
        expect([...open.values()].filter(({ push, pull }) => push > 0 || pull > 0)).toEqual([]);
      },
    ),
    { numRuns: 100 },
  );
});

it('keeps what is due after a stop', () => {
  const waves = new Waves<null>({ atOnce: 1, rest: turn, serve: () => Promise.resolve(true) });
  waves.stop();
  waves.ask('a', { push: true, pull: false, full: false, config: null });
  waves.ask('b', { push: true, pull: true, full: false, config: null });
  expect(waves.due).toEqual({ push: ['a', 'b'], pull: ['b'] });
});
