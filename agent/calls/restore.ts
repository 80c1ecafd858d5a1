import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { EpochMs } from '../../contract/primitives.ts';
import { UsageError, defineEngineCall, noWords } from './engine-call.ts';
import { spaceOf } from './space-of.ts';

/** Builds the database as a space stood at a time. */
export const restore = defineEngineCall({
  name: 'restore',
  usage: '--at TIME (--out FILE | --in-place) [--project NAME]',
  summary: 'build the database as it stood at a time',
  help: `  --at TIME     such as "2026-11-22 18:00:00" (this machine's time zone) or an ISO time
  --out FILE    a new file: nothing else changes
  --in-place    in the place of claude-mem's database. The worker must be stopped; the old file is kept beside it.
                What this removes is then removed on every node, and what it brings back comes back there.

Memories that belong to no space are kept as they are.`,
  options: {
    at: { type: 'string' },
    out: { type: 'string' },
    'in-place': { type: 'boolean' },
    project: { type: 'string' },
  },
  input: z.strictObject({
    at: EpochMs,
    out: z.string().refine(isAbsolute, 'must be an absolute path').nullable(),
    project: z.string().optional(),
  }),
  output: z.looseObject({
    path: z.string(),
    backup: z.string().nullable(),
    rows: z.object({ same: z.number(), back: z.number(), kept: z.number(), gone: z.number() }),
  }),
  changes: () => true,
  read: (typed) => {
    noWords('restore', typed);
    const { at, out, project, 'in-place': inPlace } = typed.options;
    if (typeof at !== 'string') throw new UsageError('"restore" needs --at TIME');
    const time = Date.parse(at);
    if (Number.isNaN(time)) throw new UsageError(`"${at}" is no time; write it like 2026-11-22 18:00:00`);
    if ((typeof out === 'string') === (inPlace === true)) {
      throw new UsageError('"restore" needs either --out FILE or --in-place');
    }
    return {
      at: time,
      out: typeof out === 'string' ? resolve(out) : null,
      project: project as string | undefined,
    };
  },
  run: async ({ engine, spaces, call }, { at, out, project }) => {
    const config = spaceOf(spaces, project);
    return {
      ...(await engine.restoreTo({ config, at, out: out === null ? 'in place' : { path: out } }, call)),
    };
  },
  say: ({ path, backup, rows }) => [
    `${path}: ${rows.same + rows.back + rows.kept} memories; ${rows.back} came back, ${rows.gone} are gone`,
    ...(backup === null ? [] : [`the former file is ${backup}`]),
  ],
});
