import { expect, test } from 'vitest';
import { isTolerant } from './original-routes.ts';

test('a path that the original did not have stays strict', () => {
  expect(isTolerant({ method: 'post', path: '/api/runtime/llm-tasks' })).toBe(true);
  expect(isTolerant({ method: 'patch', path: '/api/runtime/projects/:id' })).toBe(false);
  expect(isTolerant({ method: 'post', path: '/api/runtime/enrolment-tokens' })).toBe(false);
});
