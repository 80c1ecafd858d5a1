import { z } from 'zod';
import { UsageError } from '../calls/engine-call.ts';
import { call } from './client.ts';
import { print, type Command } from './command.ts';

const Rotated = z.looseObject({ ok: z.boolean(), detail: z.string() });

/** `membridge keys rotate` */
export const keysCommand: Command = {
  name: 'keys',
  usage: 'rotate',
  summary: 'make a new key for this node, for which other nodes encrypt from then on',
  help: 'The former keys stay on this machine: it can still read what was encrypted for them.',
  run: async ({ words }, json) => {
    if (words.length !== 1 || words[0] !== 'rotate') {
      throw new UsageError(`"keys" takes one word: rotate`);
    }
    const answer = await call('POST', '/keys/rotate', {});
    const { detail } = Rotated.parse(answer);
    print(json ? JSON.stringify(answer) : detail);
    return 0;
  },
};
