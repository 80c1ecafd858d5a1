import { afterEach, describe, expect, it } from 'vitest';
import { UsageError } from './engine-call.ts';
import { legacy } from './legacy.ts';

const read =
  (...words: string[]) =>
  (options: Record<string, string | boolean>) =>
    legacy.read({ words, options });
const publish = read('publish');

describe('membridge legacy publish', () => {
  afterEach(() => {
    delete process.env['FORCE_PUSH'];
  });

  it('passes on the number of memories that a person agrees to lose', () => {
    expect(publish({ fewer: '12' })).toMatchObject({ what: 'publish', overwrite: false, fewer: 12 });
    expect(publish({})).not.toHaveProperty('fewer');
    for (const fewer of ['0', '-1', '1.5', 'all', '1e3', '']) {
      expect(() => publish({ fewer })).toThrow(UsageError);
    }
  });

  it('takes the push lock by --force, or by FORCE_PUSH=1 in the shell as the original does', () => {
    expect(publish({ force: true })).toMatchObject({ force: true });
    process.env['FORCE_PUSH'] = '1';
    expect(publish({})).toMatchObject({ force: true });
    process.env['FORCE_PUSH'] = '0';
    expect(publish({})).not.toHaveProperty('force');
  });
});
