import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { redactText } from '../../memory/redact.ts';
import { CALL, newFleet, settle, type TestFleet } from '../nodes.ts';

/** Twice the largest text that claude-mem was ever seen to store would be 40 MB; this is where a square shows: minutes, not milliseconds. */
const LONG = 2 * 1024 * 1024;

/** What each rule begins with, again and again, and never ends. */
const WORST: readonly (readonly [rule: string, text: string])[] = [
  ['a private key that never ends', '-----BEGIN PRIVATE KEY-----\n'],
  ['a private key of many words', '-----BEGIN A A A A A A A A A A A A A A A A '],
  ['words that could be those of a private key', 'A '],
  ['ends without a beginning', '-----END PRIVATE KEY-----\n'],
  ['heads of JSON web tokens', '-eyJabcdefghijkl'],
  ['short heads of JSON web tokens', '-eyJ'],
  ['tokens of which the last part is missing', 'eyJabcdefghijkl.eyJabcdefghijkl.-'],
  ['keys that are too short', '-sk-'],
  ['keys of Anthropic that are too short', 'sk-ant-'],
  ['tokens of GitHub', ' ghp_'],
  ['passwords in addresses', 'a://b:'],
  ['passwords in addresses without an end', 'ab://c:ddd'],
  ['addresses without a password', 'aaaaaaaaaaaaaaaaaaaaa+.-'],
  ['users of addresses', `a://${'u'.repeat(60)}:`],
  ['tokens of Slack', '-xoxb-'],
];

describe('S2: redaction', () => {
  it.each(WORST)(
    'takes no longer than the length of the text allows: %s',
    { timeout: 20_000 },
    (_name, piece) => {
      const text = piece.repeat(Math.ceil(LONG / piece.length));
      const began = performance.now();
      redactText(text);
      redactText(`eyJ ${text}`);
      expect(performance.now() - began).toBeLessThan(5_000);
    },
  );

  it('takes the same secrets out of every text as version 0.4 did', () => {
    const part = fc.constantFrom(
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN RSA PRIVATE KEY-----',
      '-----END RSA PRIVATE KEY-----',
      '-----END PRIVATE KEY BLOCK-----',
      'eyJabcdefghij1.eyJabcdefghij2.abcdefghij3',
      'eyJabcdefghij',
      'eyJ',
      '.',
      '-',
      ' x ',
      'abcdefghijkl',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 24 }), (parts) => {
        const text = parts.join('');
        const before = text
          .replace(
            /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/g,
            '[redacted:private-key]',
          )
          .replace(
            /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g,
            '[redacted:json-web-token]',
          );
        expect(redactText(text)).toBe(before);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('S2: a peer that sends such a text', () => {
  let fleet: TestFleet;
  beforeEach(async () => {
    fleet = await newFleet();
  });
  afterEach(() => fleet.close());

  it('keeps claude-mem from writing for no longer than any other', { timeout: 60_000 }, async () => {
    const [honest, hostile] = [fleet.add('honest', '13.25.3'), fleet.add('hostile', '13.25.3')];
    hostile.write.session({ contentSessionId: 's', memorySessionId: 'm', project: 'open', startedAt: 1 });
    for (const piece of ['-----BEGIN PRIVATE KEY-----\n', '-eyJabcdefghijkl']) {
      hostile.write.observation({
        memorySessionId: 'm',
        project: 'open',
        title: 'worst',
        narrative: piece.repeat(40_000),
        createdAt: 1,
      });
    }
    const began = performance.now();
    await settle(fleet.space, [hostile, honest]);
    hostile.db.exec('DELETE FROM observations');
    await hostile.engine.resolveDeletes('approve', CALL).catch(() => undefined);
    await settle(fleet.space, [hostile, honest]);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
