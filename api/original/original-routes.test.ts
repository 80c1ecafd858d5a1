import { expect, test } from 'vitest';
import { isTolerant } from './original-routes.ts';

test('stays strict on a path that the original does not have', () => {
  expect(isTolerant({ method: 'post', path: '/api/runtime/llm-tasks' })).toBe(true);
  expect(isTolerant({ method: 'patch', path: '/api/runtime/projects/:id' })).toBe(false);
  expect(isTolerant({ method: 'post', path: '/api/runtime/enrolment-tokens' })).toBe(false);
});
