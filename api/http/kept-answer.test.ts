import { expect, test } from 'vitest';
import { KeptAnswer } from './kept-answer.ts';

/** Makes an answer that counts how often it is computed; each computation takes as long as `work` does. */
function counter(work: () => Promise<void>): { answer: KeptAnswer<number>; computed: () => number } {
  let computed = 0;
  const answer = new KeptAnswer(async () => {
    computed += 1;
    const mine = computed;
    await work();
    return mine;
  });
  return { answer, computed: () => computed };
}
const slow = async () => await new Promise<void>((resolve) => setTimeout(resolve, 200));

test('computes a cheap answer for every reader', async () => {
  const { answer } = counter(async () => undefined);
  expect([await answer.get(), await answer.get(), await answer.get()]).toEqual([1, 2, 3]);
});

test('shares one computation of an expensive answer between concurrent readers', async () => {
  const { answer, computed } = counter(slow);
  expect(await answer.get()).toBe(1);
  expect(await Promise.all([answer.get(), answer.get()])).toEqual([1, 1]);
  const again = await Promise.all([answer.get(() => false), answer.get(() => false)]);
  expect(again).toEqual([2, 2]);
  expect(computed()).toBe(2);
});

test('computes again after a failure', async () => {
  let fails = true;
  const answer = new KeptAnswer(async () => {
    if (fails) throw new Error('away');
    return await Promise.resolve('there');
  });
  await expect(answer.get()).rejects.toThrow('away');
  fails = false;
  expect(await answer.get()).toBe('there');
});
