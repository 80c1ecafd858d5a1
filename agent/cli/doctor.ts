import { z } from 'zod';
import { DryRunAnswer } from '../../contract/nodes/remote-calls.ts';
import { fixDatabase } from '../calls/doctor.ts';
import { refuseWords, UsageError } from '../calls/engine-call.ts';
import { call, callLong } from './client.ts';
import { print, printAside, type Command } from './command.ts';
import { confirm } from './confirm.ts';

/** The answer of this agent, or of one of an older version. */
const Doctor = z.looseObject({
  ok: z.boolean(),
  checks: z.array(
    z.looseObject({
      name: z.string(),
      ok: z.boolean(),
      detail: z.string(),
      warning: z.boolean().optional(),
      fix: z.object({ id: z.string(), what: z.string() }).optional(),
    }),
  ),
});
type Doctor = z.infer<typeof Doctor>;

/** `membridge doctor`, `membridge doctor --fix` and `membridge doctor store` */
export const doctorCommand: Command = {
  name: 'doctor',
  usage: '[--fix [--yes] | store]',
  summary: 'check everything that the sync depends on, and repair what can be repaired safely',
  help: `  --fix   repair what can be repaired safely, after a question: today, damaged full-text indexes of claude-mem's database.
          They are rebuilt from the rows; no row changes
  --yes   do not ask (needed where no terminal is)
  store   race conditional writes to the object store, and record whether it honors them (a minute)`,
  options: { fix: { type: 'boolean' }, yes: { type: 'boolean' } },
  run: async (typed, json) => {
    const [word, ...rest] = typed.words;
    const isFix = typed.options['fix'] === true;
    if (word === 'store') refuseWords('doctor store', { ...typed, words: rest });
    else refuseWords('doctor', typed);
    if (isFix && word === 'store') throw new UsageError('"doctor store" has nothing to fix');
    const found = Doctor.parse(
      word === 'store' ? await call('POST', '/doctor/store') : await call('GET', '/doctor'),
    );
    if (!json || isFix) show(found, json ? printAside : print);
    if (!isFix) {
      if (json) print(JSON.stringify(found));
      return found.ok ? 0 : 1;
    }
    return await fix(found, { isSure: typed.options['yes'] === true, json });
  },
};

function show({ checks }: Doctor, say: (line: string) => void): void {
  for (const { name, ok, warning, detail } of checks) {
    say(`${ok ? (warning === true ? 'note  ' : 'ok    ') : 'FAILED'}  ${name}: ${detail}`);
  }
}

/** Makes the repairs that the checks name, then checks again. */
async function fix(found: Doctor, { isSure, json }: { isSure: boolean; json: boolean }): Promise<number> {
  const say = json ? printAside : print;
  const fixes = found.checks.flatMap((check) => (check.fix === undefined ? [] : [check.fix]));
  if (fixes.length === 0) {
    say(
      found.ok
        ? 'Nothing needs repair.'
        : 'Nothing of this can be repaired from here; each line says what to do.',
    );
    if (json) print(JSON.stringify(found));
    return found.ok ? 0 : 1;
  }
  for (const { what } of fixes) say(`to do: ${what}`);
  if (!isSure && !(await confirm('doctor --fix', 'Do that now?'))) return 1;
  const answer = await callLong('/doctor/fix', { fixes: fixes.map(({ id }) => id) }, printAside);
  const dryRun = DryRunAnswer.safeParse(answer);
  if (dryRun.success) {
    print(json ? JSON.stringify(answer) : dryRun.data.detail);
    return 0;
  }
  const done = fixDatabase.output.parse(answer) as { ok: boolean; lines: string[] };
  for (const line of done.lines) say(line);
  const after = Doctor.parse(await call('GET', '/doctor'));
  if (json) print(JSON.stringify(after));
  else show({ ...after, checks: after.checks.filter(({ ok }) => !ok) }, print);
  return done.ok && after.ok ? 0 : 1;
}
