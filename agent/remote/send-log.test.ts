import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import type { LogLine } from '../../contract/nodes/node-log.ts';
import { RecentLog } from '../recent-log.ts';
import { sendLog } from './send-log.ts';

/** A log, and somebody who reads it. */
function begin(options: { lines: number; follow: boolean; isSlow?: boolean }) {
  const recent = new RecentLog();
  const log = pino({ level: 'debug', name: 'agent' }, recent);
  const left = new AbortController();
  const read: LogLine[] = [];
  const waiting: (() => void)[] = [];
  const piece = async (text: string): Promise<void> => {
    if (options.isSlow === true) await new Promise<void>((resolve) => waiting.push(resolve));
    read.push(...(JSON.parse(text) as LogLine[]));
  };
  const send = (): Promise<null> => sendLog(recent, options, { signal: left.signal, piece });
  return { log, read, send, leave: () => left.abort(), waiting };
}

describe('the log of an agent', () => {
  it('comes as its last lines, the oldest first, with level and fields', async () => {
    const { log, read, send } = begin({ lines: 2, follow: false });
    log.info('forgotten');
    log.warn({ reason: 'no route' }, 'the heartbeat failed');
    log.error('it ends');
    await send();
    expect(read).toEqual([
      {
        at: expect.any(Number) as number,
        level: 'warn',
        message: 'the heartbeat failed',
        fields: '{"reason":"no route"}',
      },
      { at: expect.any(Number) as number, level: 'error', message: 'it ends', fields: '' },
    ]);
  });

  it('keeps 1,000 lines, and cuts long ones', async () => {
    const { log, read, send } = begin({ lines: 1_000, follow: false });
    for (let line = 0; line < 1_010; line += 1) log.info(`line ${line}`);
    log.info({ reason: 'y'.repeat(9_000) }, 'x'.repeat(9_000));
    await send();
    expect(read).toHaveLength(1_000);
    expect(read[0]?.message).toBe('line 11');
    expect([read.at(-1)?.message.length, read.at(-1)?.fields.length]).toEqual([2_000, 2_000]);
  });

  it('has secrets replaced by their type', async () => {
    const { log, read, send } = begin({ lines: 10, follow: false });
    const secret = ['ghp', 'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8'].join('_');
    log.warn({ reason: `git refused ${secret}` }, `fetch with ${secret} failed`);
    await send();
    expect(JSON.stringify(read)).not.toContain(secret);
    expect(read[0]?.message).toMatch(/fetch with \[redacted:[\w-]+\] failed/);
  });

  it('brings new lines until its reader leaves', async () => {
    const { log, read, send, leave } = begin({ lines: 0, follow: true });
    log.info('before');
    const done = send();
    log.info('after');
    await expect.poll(() => read.map(({ message }) => message)).toEqual(['after']);
    log.info('later');
    await expect.poll(() => read.map(({ message }) => message)).toEqual(['after', 'later']);
    leave();
    expect(await done).toBeNull();
  });

  it('leaves the oldest lines out for a reader that is too slow', async () => {
    const { log, read, send, leave, waiting } = begin({ lines: 0, follow: true, isSlow: true });
    const done = send();
    for (let line = 0; line < 3_000; line += 1) log.info(`line ${line}`);
    await expect
      .poll(() => {
        waiting.shift()?.();
        return read.at(-1)?.message;
      })
      .toBe('line 2999');
    expect(read).toHaveLength(1_000);
    leave();
    expect(await done).toBeNull();
  });
});
