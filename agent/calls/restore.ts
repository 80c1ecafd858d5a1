import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { EpochMs } from '../../contract/http/primitives.ts';
import { UsageError, defineEngineCall, refuseWords } from './engine-call.ts';
import { findSpaceOf } from './find-space-of.ts';
import { readMoment, formatMoment, TIME_HELP } from './typed-moment.ts';

/** The prefix of the folder in which a trial builds a database. */
const TRIAL_PREFIX = 'restore-trial-';

/** Removes the copies of memories that trials of a killed agent left. Called when the agent starts. */
export function sweepTrials(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name.startsWith(TRIAL_PREFIX)) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

/** Builds the database as a space stood at a given time. */
export const restore = defineEngineCall({
  name: 'restore',
  usage: '--at TIME (--out FILE | --in-place [--dry-run | --yes]) [--project NAME]',
  summary: 'build the database as it stood at a time',
  help: `  --at TIME     the moment
  --out FILE    a new file: nothing else changes
  --in-place    in the place of claude-mem's database. The worker must be stopped; the old file is kept beside it.
                What this removes is then removed on every node, and what it brings back comes back there. Before that, the
                command shows the time that it understood and what would change, and asks.
  --dry-run     with --in-place: only count
  --yes         with --in-place: do not ask (needed where no terminal is)

Memories that belong to no space are kept as they are.

${TIME_HELP}`,
  options: {
    at: { type: 'string' },
    out: { type: 'string' },
    'in-place': { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    project: { type: 'string' },
  },
  input: z.strictObject({
    at: EpochMs,
    out: z.string().refine(isAbsolute, 'must be an absolute path').nullable(),
    project: z.string().optional(),
    /** Only counts what would change: builds the database in the agent's folder and removes it. */
    dryRun: z.boolean().default(false),
  }),
  output: z.looseObject({
    path: z.string(),
    backup: z.string().nullable(),
    rows: z.object({ same: z.number(), back: z.number(), kept: z.number(), gone: z.number() }),
    dryRun: z.boolean().optional(),
  }),
  changes: ({ dryRun }) => !dryRun,
  read: (typed) => {
    refuseWords('restore', typed);
    const { at, out, project, 'in-place': inPlace, 'dry-run': dryRun } = typed.options;
    if (typeof at !== 'string') throw new UsageError('"restore" needs --at TIME');
    const time = readMoment('--at', at);
    if ((typeof out === 'string') === (inPlace === true)) {
      throw new UsageError('"restore" needs either --out FILE or --in-place');
    }
    return {
      at: time,
      out: typeof out === 'string' ? resolve(out) : null,
      project: project as string | undefined,
      dryRun: dryRun === true,
    };
  },
  confirm: (input) => ({
    understood: [`as of ${formatMoment(input.at)}`],
    asks:
      input.out === null && input.dryRun !== true
        ? { trial: { ...input, dryRun: true }, question: "Put it in the place of claude-mem's database?" }
        : null,
  }),
  run: async ({ engine, spaces, dataDir, call }, { at, out, project, dryRun }) => {
    const config = findSpaceOf(spaces, project);
    if (dryRun) {
      const folder = mkdtempSync(join(dataDir, TRIAL_PREFIX));
      try {
        const built = { path: join(folder, 'claude-mem.db') };
        return { ...(await engine.restoreTo({ config, at, out: built }, call)), dryRun };
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    return {
      ...(await engine.restoreTo({ config, at, out: out === null ? 'in place' : { path: out } }, call)),
    };
  },
  say: ({ path, backup, rows, dryRun }) => {
    const total = rows.same + rows.back + rows.kept;
    if (dryRun === true) {
      return [`${total} memories would be there: ${rows.back} would come back, ${rows.gone} would go`];
    }
    return [
      `${path}: ${total} memories; ${rows.back} came back, ${rows.gone} are gone`,
      ...(backup === null ? [] : [`the former file is ${backup}`]),
    ];
  },
});
