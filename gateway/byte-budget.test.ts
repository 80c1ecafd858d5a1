import { describe, expect, it } from 'vitest';
import { ByteBudget } from './byte-budget.ts';

describe('the budget of a node', () => {
  it('refuses what exceeds it, and has room again once calls ended', () => {
    const budget = new ByteBudget(100);
    const first = budget.open();
    const second = budget.open();
    first.take(60);
    second.take(40);
    expect(() => second.take(1)).toThrow(/more than 100 bytes/);
    second.release();
    first.take(40);
    first.release();
    expect(() => budget.open().take(100)).not.toThrow();
  });

  it('no longer counts a call that ended', () => {
    const budget = new ByteBudget(10);
    const call = budget.open();
    call.release();
    call.take(1_000);
    expect(() => budget.open().take(10)).not.toThrow();
  });
});
