import { z } from 'zod';
import { noWords } from '../calls/engine-call.ts';
import { call } from './client.ts';
import { print, type Command } from './command.ts';

const Doctor = z.looseObject({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

/** `membridge doctor` and `membridge doctor store` */
export const doctorCommand: Command = {
  name: 'doctor',
  usage: '[store]',
  summary: 'look at everything the sync stands on',
  help: `  store   race the object store, and record what it promises of conditional writes (a minute)`,
  run: async (typed, json) => {
    const [word, ...rest] = typed.words;
    if (word === 'store') noWords('doctor store', { ...typed, words: rest });
    else noWords('doctor', typed);
    const answer = word === 'store' ? await call('POST', '/doctor/store') : await call('GET', '/doctor');
    const { ok, checks } = Doctor.parse(answer);
    if (json) print(JSON.stringify(answer));
    else
      for (const check of checks) print(`${check.ok ? 'ok    ' : 'FAILED'}  ${check.name}: ${check.detail}`);
    return ok ? 0 : 1;
  },
};
