import { z } from 'zod';
import { noWords } from '../calls/engine-call.ts';
import { call } from './client.ts';
import { print, type Command } from './command.ts';

const Doctor = z.looseObject({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

/** `membridge doctor` */
export const doctorCommand: Command = {
  name: 'doctor',
  usage: '',
  summary: 'look at everything the sync stands on',
  run: async (typed, json) => {
    noWords('doctor', typed);
    const answer = await call('GET', '/doctor');
    const { ok, checks } = Doctor.parse(answer);
    if (json) print(JSON.stringify(answer));
    else
      for (const check of checks) print(`${check.ok ? 'ok    ' : 'FAILED'}  ${check.name}: ${check.detail}`);
    return ok ? 0 : 1;
  },
};
