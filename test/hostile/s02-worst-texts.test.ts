import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { redactText } from '../../memory/space/redact.ts';
import { ASSIGNED_RULES } from '../../memory/redaction/assigned-rules.ts';
import { NAME_KEYWORDS } from '../../memory/redaction/key-values.ts';
import { PREFIX_RULES } from '../../memory/redaction/prefix-rules.ts';
import { SPECIAL_RULES } from '../../memory/redaction/special-rules.ts';
import { CALL, newFleet, settle, type TestFleet } from '../memory/nodes.ts';

/**
 * Long enough to show quadratic time: minutes, not milliseconds. Twice the largest text that claude-mem ever stored
 * would be 40 MB.
 */
const LONG = 2 * 1024 * 1024;

/** For each rule, its beginning, repeated without an end. */
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

/** Every keyword that starts a rule. */
const KEYWORDS = [
  ...new Set([
    ...PREFIX_RULES.flatMap(([, keywords]) => keywords.split(' ')),
    ...ASSIGNED_RULES.flatMap(([issuers]) => issuers.split(' ')),
    ...NAME_KEYWORDS.map(([word]) => word),
    ...SPECIAL_RULES.flatMap(([keywords]) => keywords),
  ]),
];

/**
 * What makes a rule read on from its keyword and fail, as far as rules differ: nothing, a sign, a quote, half of a
 * secret.
 */
const AFTER = [
  '',
  ' ',
  '=',
  ': "',
  '=a1B2',
  'a1B2c3D4e5F6',
  '-0f',
  '.eyJ',
  '_A1'.repeat(60),
  'a1B2=.'.repeat(60),
  `=${'abcdefgh'.repeat(20)}1~`,
];

/** How much of each is read: in quadratic time it takes seconds instead of some 10 ms. */
const SHORTER = 128 * 1024;

describe('S2: redaction', () => {
  it('takes only linear time for the beginning of any rule', { timeout: 120_000 }, () => {
    let slowest = { ms: 0, piece: '' };
    for (const word of KEYWORDS) {
      for (const after of AFTER) {
        const piece = `${word}${after}${word.toUpperCase()}${after}`;
        const text = piece.repeat(Math.ceil(SHORTER / piece.length));
        const began = performance.now();
        redactText(text);
        const ms = performance.now() - began;
        if (ms > slowest.ms) slowest = { ms, piece };
      }
    }
    expect(slowest.ms, slowest.piece).toBeLessThan(1_000);
  });

  it.each(WORST)('takes only linear time: %s', { timeout: 20_000 }, (_name, piece) => {
    const text = piece.repeat(Math.ceil(LONG / piece.length));
    const began = performance.now();
    redactText(text);
    redactText(`eyJ ${text}`);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('removes the same secrets by the first rules as version 0.4 did', () => {
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
        expect(redactText(text, 1)).toBe(before);
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds a secret wherever the first rules find one', () => {
    const part = fc.constantFrom(
      '-----BEGIN RSA PRIVATE KEY-----',
      '-----END RSA PRIVATE KEY-----',
      'eyJabcdefghij1',
      '.',
      '"',
      ' x ',
      'sk-ant-',
      'sk-',
      'sk-proj-',
      'ghp_',
      'github_pat_',
      'glpat-',
      'AKIA',
      'AIza',
      'xoxb-',
      'sk_live_',
      'npm_',
      'postgres://',
      'a://u:',
      '://',
      ':',
      '@',
      '/',
      '\\n',
      '\\"',
      'password=',
      'token: "',
      'abcdefghijklmnopqrstuvwxyz0123456789',
      'ABCDEFGHIJ234567',
      'a1B2c3D4e5F6g7H8i9',
      'hunter22',
      '\n',
      '_',
      '-',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 16 }), (parts) => {
        const text = parts.join('');
        const redacted = redactText(text);
        if (redactText(text, 1) !== text) expect(redacted).not.toBe(text);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('S2: a peer that sends such a text', () => {
  let fleet: TestFleet;
  beforeEach(async () => {
    fleet = await newFleet();
  });
  afterEach(() => fleet.close());

  it('blocks claude-mem’s writes no longer than any other peer', { timeout: 60_000 }, async () => {
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
