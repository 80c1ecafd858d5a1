import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinSegments, parseBaseUrl } from './base-url.ts';

test.each([
  ['http://plane.example:8000', 'http://plane.example:8000'],
  ['https://plane.example/', 'https://plane.example'],
  ['https://example.org/membridge//', 'https://example.org/membridge'],
  ['http://[::1]:8000', 'http://[::1]:8000'],
])('reads %s as the address %s', (text, expected) => {
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
])('refuses %j as the address of a control plane', (text) => {
  expect(parseBaseUrl(text)).toBeNull();
});

test.each(['', '.', '..', '../agents', 'a/b', 'a\\b', '\n', 'a\u0000', '\ud800'])(
  'refuses the segment %j',
  (segment) => {
    expect(() => joinSegments('http://h', ['projects', segment])).toThrow(/cannot be part of a path/);
  },
);

test('keeps any segment as one part of the path, and decodes it unchanged', () => {
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

test('encodes an encoded segment again, so that it cannot lead upwards', () => {
  expect(joinSegments('http://h', ['%2e%2e', '..%2fagents'])).toBe('http://h/%252e%252e/..%252fagents');
});
