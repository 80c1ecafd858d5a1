import { expect, test } from 'vitest';
import { objectToBasePath, withoutBasePath } from './base-path.ts';
import { ROUTES } from '../routes/index.ts';
import { firstSegment } from './web.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

test.each([
  ['/membridge', '/'],
  ['/membridge/', '/'],
  ['/membridge?a=1', '/?a=1'],
  ['/membridge/api/events?last_event_id=3', '/api/events?last_event_id=3'],
  ['/membridge/membridge', '/membridge'],
  ['/membridge/membridge/projects', '/membridge/projects'],
  ['/membridge/projects', '/projects'],
  ['/api/events', '/api/events'],
  ['/membridges/a', '/membridges/a'],
  ['/', '/'],
])('serves %s as %s', (url, served) => {
  expect(withoutBasePath(url, '/membridge', 'application/json')).toBe(served);
});

test('leaves a browser the page of a project where a proxy removed the base path', () => {
  expect(withoutBasePath('/membridge/projects/1', '/membridge', BROWSER)).toBe('/membridge/projects/1');
  expect(withoutBasePath('/membridge/docs', '/membridge', BROWSER)).toBe('/docs');
});

test('changes no path without a base path', () => {
  expect(withoutBasePath('/membridge/api/events', '', BROWSER)).toBe('/membridge/api/events');
});

test('refuses a base path that is the first segment of one of our own paths', () => {
  const roots = ROUTES.map((route) => `/${firstSegment(route.path)}`).filter((root) => root !== '/');
  for (const root of new Set([...roots, '/docs', '/temporal', '/assets', '/signin', '/runtime', '/nodes'])) {
    expect([root, objectToBasePath(root), objectToBasePath(`${root}/x`)]).toEqual([
      root,
      expect.stringContaining(root),
      expect.stringContaining(root),
    ]);
  }
});

test.each(['', '/membridge', '/tools/membridge', '/a.b/c_d/~e'])('accepts %j as a base path', (path) => {
  expect(objectToBasePath(path)).toBeNull();
});

test.each(['/a b', '/a"b', '/a;b', '/%2e%2e', '/a//b', '/<a>'])('refuses %j as a base path', (path) => {
  expect(objectToBasePath(path)).not.toBeNull();
});
