import { describe, expect, it } from 'vitest';
import { readKeyInFragment } from './key-in-address.ts';
import { nextPage } from './next-page.ts';

describe('the key of a sign-in link', () => {
  it('is read whole, encoded or not', () => {
    expect(readKeyInFragment('#key=a%2Bb%20c')).toBe('a+b c');
    expect(readKeyInFragment('#key=a+b/c==')).toBe('a+b/c==');
    expect(readKeyInFragment('#key=100%')).toBe('100%');
  });

  it('is null when the fragment holds none', () => {
    expect(readKeyInFragment('')).toBeNull();
    expect(readKeyInFragment('#key=')).toBeNull();
    expect(readKeyInFragment('#other')).toBeNull();
  });
});

describe('the page after signing in', () => {
  it('is the requested one', () => {
    expect(nextPage('/nodes?node=a')).toBe('/nodes?node=a');
  });

  it.each([
    undefined,
    '',
    '/',
    '/signin?from=/nodes',
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
  ])('is the home page for %j', (from) => expect(nextPage(from)).toBe('/membridge'));
});
