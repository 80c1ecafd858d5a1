import { setImmediate as later } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Gate } from './turns.ts';

const never = new AbortController().signal;

it('runs a limited number at once, in order of arrival, and canceling loses no slot', async () => {
  const gate = new Gate(2);
  const log: string[] = [];
  const ends: (() => void)[] = [];
  const enter = async (name: string, signal = never): Promise<void> =>
    await gate.pass(
      signal,
      () => log.push(`${name} waits`),
      async () => {
        log.push(`${name} works`);
        const { promise, resolve } = Promise.withResolvers<void>();
        ends.push(resolve);
        await promise;
      },
    );
  const stop = new AbortController();
  const all = [enter('a'), enter('b')];
  await later();
  all.push(
    enter('c', stop.signal).catch(() => void log.push('c left')),
    enter('d'),
    enter('e'),
  );
  await later();
  stop.abort(new Error('stop'));
  await later();
  ends[0]?.();
  await later();
  expect(log).toEqual(['a works', 'b works', 'c waits', 'd waits', 'e waits', 'c left', 'd works']);
  for (let each = 1; each < 4; each += 1) {
    ends[each]?.();
    await later();
  }
  await Promise.all(all);
  expect(log.at(-1)).toBe('e works');
  await gate.pass(
    never,
    () => expect.unreachable(),
    () => Promise.resolve(),
  );
});

it('a waiter that is admitted and canceled at the same time passes its slot on', async () => {
  const gate = new Gate(1);
  const { promise: held, resolve: free } = Promise.withResolvers<void>();
  const stop = new AbortController();
  const first = gate.pass(
    never,
    () => undefined,
    () => held,
  );
  const second = gate
    .pass(
      stop.signal,
      () => undefined,
      () => Promise.resolve('worked'),
    )
    .catch(() => 'left');
  await later();
  stop.abort(new Error('stop'));
  free();
  await Promise.all([first, second]);
  expect(
    await gate.pass(
      never,
      () => undefined,
      () => Promise.resolve('third'),
    ),
  ).toBe('third');
});
