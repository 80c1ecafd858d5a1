import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { confirm } from './confirm.ts';

/** Stands in for a terminal at which somebody types; `null` ends the input, as Ctrl-D does. */
function terminal(typed: string | null): {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  shown(): string;
} {
  const input = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.ReadStream;
  const output = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.WriteStream;
  let shown = '';
  output.on('data', (chunk: Buffer) => {
    shown += String(chunk);
  });
  const writer = input as unknown as PassThrough;
  if (typed === null) writer.end();
  else writer.write(`${typed}\n`);
  return { input, output, shown: () => shown };
}

describe('confirm', () => {
  it.each(['y', 'Y', 'yes', ' yes '])('takes %j as a yes', async (typed) => {
    const at = terminal(typed);
    expect(await confirm('revoke', 'Take them back?', at)).toBe(true);
    expect(at.shown()).toContain('Take them back? [y/N] ');
  });

  it.each(['', 'n', 'no', 'yes please', 'j'])('takes %j as a no', async (typed) => {
    expect(await confirm('revoke', 'Take them back?', terminal(typed))).toBe(false);
  });

  it('takes the end of the input as a no', async () => {
    expect(await confirm('revoke', 'Take them back?', terminal(null))).toBe(false);
  });

  it('refuses where there is no terminal', async () => {
    const at = terminal('y');
    at.input.isTTY = false as true;
    await expect(confirm('revoke', 'Take them back?', at)).rejects.toThrow(/add --yes\. Nothing was changed/);
  });
});
