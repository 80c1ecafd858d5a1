import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinSegments, parseBaseUrl } from './base-url.ts';

test.each([
  ['http://plane.example:8000', 'http://plane.example:8000'],
  ['https://plane.example/', 'https://plane.example'],
  ['https://example.org/membridge//', 'https://example.org/membridge'],
  ['http://[::1]:8000', 'http://[::1]:8000'],
])('%s is the address %s', (text, expected) => {
  expect(parseBaseUrl(text)).toBe(expected);
});

test.each([
  '',
  'plane.example:8000',
  'file:///etc/passwd',
  'ftp://plane.example',
  'http://user:secret@plane.example',
  'https://plane.example/?key=1',
  'https://plane.example/#x',
  'http://',
])('%j is no address of a control plane', (text) => {
  expect(parseBaseUrl(text)).toBeNull();
});

test.each(['', '.', '..', '../agents', 'a/b', 'a\\b', '\n', 'a\u0000', '\ud800'])(
  'the segment %j is refused',
  (segment) => {
    expect(() => joinSegments('http://h', ['projects', segment])).toThrow(/cannot be part of a path/);
  },
);

test('whatever a segment holds, it stays one of the path, and comes back as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (segment) => {
      let joined = '';
      try {
        joined = joinSegments('http://h/base', ['projects', segment, 'nodes']);
      } catch {
        return;
      }
      const { origin, pathname, search, hash } = new URL(joined);
      expect([origin, search, hash]).toEqual(['http://h', '', '']);
      expect(pathname.split('/').map(decodeURIComponent)).toEqual(['', 'base', 'projects', segment, 'nodes']);
    }),
  );
});

test('what is encoded already is encoded again, and so cannot become a way up', () => {
  expect(joinSegments('http://h', ['%2e%2e', '..%2fagents'])).toBe('http://h/%252e%252e/..%252fagents');
});
