import { expect, it } from 'vitest';
import { unpinnedDependencies } from './pinned.ts';

it('names every dependency that is not pinned', () => {
  const dependencies = { a: '1.2.3', b: '^1.2.3', c: 'latest', d: '18.4.0-beta.17', e: '1.x' };
  expect(unpinnedDependencies({ dependencies })).toEqual(['b@^1.2.3', 'c@latest', 'e@1.x']);
});
