import { describe, expect, it } from 'vitest';
import { redactRow, redactText } from '../../memory/space/redact.ts';
import { measureRedaction } from './measure-redaction.ts';

/** Made at run time, so that no file holds a secret. */
const TOKEN = `ghp_${'a1B2'.repeat(9)}`;
const OUT = '[redacted:github-token]';

describe('S16: secrets of known forms', () => {
  it('leave no machine, wherever they are in a memory', { timeout: 120_000 }, () => {
    const report = measureRedaction(16, 1);
    expect(report.secrets).toBeGreaterThanOrEqual(120);
    expect(report.broken).toEqual([]);
    // Secrets are random: one in a thousand looks like a word.
    expect(report.missed.length, report.missed.join('; ')).toBeLessThanOrEqual(
      Math.ceil(report.caught / 500),
    );
  });

  it('are wrongly found in fewer than one of 10,000 memories', { timeout: 120_000 }, () => {
    const { memories, false_alarms: falseAlarms } = measureRedaction(61, 100_000);
    expect(memories).toBe(100_000);
    expect(falseAlarms).toBeLessThan(10);
  });
});

describe('S16: JSON in columns', () => {
  it('loses the secret behind an escaped line feed and keeps every other byte', () => {
    const before = String.raw`[ "caf\u00e9 \/ é",  "see\n${TOKEN}\n.",null, {"a" :1.0} ]`;
    const after = before.replace(TOKEN, OUT);
    expect(redactRow({ facts: before, concepts: '["a",  "b\\u0062"]' })).toEqual({
      facts: after,
      concepts: '["a",  "b\\u0062"]',
    });
  });

  it('loses secrets that are spelled with escapes, also in JSON within JSON', () => {
    const spelled = TOKEN.replace('g', String.raw`\u0067`);
    expect(redactText(`["${spelled}"]`)).toBe(`["${OUT}"]`);
    const twice = JSON.stringify([JSON.stringify({ said: `\n${TOKEN}` })]);
    expect(redactText(twice)).toBe(twice.replace(TOKEN, OUT));
    const address = String.raw`{"url":"https:\/\/bob:hunter22@example.org"}`;
    expect(redactText(address)).toBe(address.replace('hunter22', '[redacted:password-in-url]'));
  });

  it('stays JSON where a key spans several strings', () => {
    const key = ['-----BEGIN RSA PRIVATE KEY-----', 'a1B2'.repeat(16), '-----END RSA PRIVATE KEY-----'];
    const out = '[redacted:private-key]';
    expect(redactText(JSON.stringify(['before', ...key, 'after']))).toBe(
      JSON.stringify(['before', out, out, out, 'after']),
    );
  });

  it('is read as text when it is cut off', () => {
    const cut = JSON.stringify(['first', `log\n${TOKEN}\nend`]).slice(0, -6);
    expect(redactText(cut)).toBe(cut.replace(TOKEN, OUT));
  });

  it('stays the same row when there is nothing to remove', () => {
    const row = { facts: '["a\\nb"]', narrative: 'token: string, see https://example.org/a:b', n: 1 };
    expect(redactRow(row)).toBe(row);
  });
});
