import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { readConfigEnv } from '../../memory/legacy/config-env.ts';
import { describePublication } from '../../memory/legacy/publish.ts';
import { UsageError, defineEngineCall } from './engine-call.ts';
import { findSpaceOf } from './find-space-of.ts';

const Word = z.enum(['import', 'publish']);

/** Exchanges memories with machines that still run the original's scripts. */
export const legacy = defineEngineCall({
  name: 'legacy',
  usage: '(import [--file FILE] | publish [--overwrite] [--fewer N] [--force]) [--project NAME]',
  summary: 'exchange memories with machines that still run the original scripts',
  help: `The store is the one of ~/.claude-mem-minio/config.env (MEMBRIDGE_CONFIG_ENV), which is read and never written.

  import       merge the snapshot that the original's push stored, or the database in FILE
  publish      store a snapshot for the original's pull; it replaces the whole database of the machine that pulls it.
               Publishing first imports the present snapshot, and refuses to store fewer memories than that holds
  --overwrite  also replace a damaged snapshot; what can be read of it is imported first
  --fewer N    accept N memories fewer than before, the number that the refusal named
  --force      take the push lock although another machine holds it, as FORCE_PUSH=1 does`,
  options: {
    file: { type: 'string' },
    overwrite: { type: 'boolean' },
    fewer: { type: 'string' },
    force: { type: 'boolean' },
    project: { type: 'string' },
  },
  input: z.strictObject({
    what: Word,
    file: z.string().refine(isAbsolute, 'must be an absolute path').nullable(),
    overwrite: z.boolean(),
    fewer: z.number().int().positive().optional(),
    force: z.boolean().optional(),
    project: z.string().optional(),
  }),
  output: z.looseObject({ line: z.string() }),
  changes: () => true,
  read: ({ words, options }) => {
    const [word, ...rest] = words;
    const what = Word.safeParse(word);
    if (!what.success || rest.length > 0) throw new UsageError('"legacy" needs import or publish');
    const { file, overwrite, fewer, force, project } = options;
    return {
      what: what.data,
      file: typeof file === 'string' ? resolve(file) : null,
      overwrite: overwrite === true,
      ...(fewer === undefined ? {} : { fewer: readNumber(fewer) }),
      // The original's scripts read FORCE_PUSH from the shell that starts them.
      ...(force === true || process.env['FORCE_PUSH'] === '1' ? { force: true } : {}),
      project: project as string | undefined,
    };
  },
  run: async ({ engine, spaces, configEnv, call }, input) => {
    const { what, file, overwrite, fewer, force, project } = input;
    const config = findSpaceOf(spaces, project);
    if (what === 'import') {
      const source = file === null ? { access: readConfigEnv(configEnv).access } : { file };
      const { inserted, present, deleted, outside, waiting, ...rest } = await engine.importLegacy(
        config,
        source,
        call,
      );
      engine.forgetNotice();
      const kept = `${present} were here, ${deleted} deleted here before, ${outside} of other projects, ${waiting} wait`;
      return { ...rest, inserted, line: `${inserted} memories came in; ${kept}` };
    }
    const original = readConfigEnv(configEnv);
    const target = {
      access: original.access,
      lockSeconds: original.lockSeconds,
      overwrite,
      force: force === true || original.force,
      ...(fewer === undefined ? {} : { fewer }),
    };
    const published = await engine.publishLegacy(config, target, call);
    const line = describePublication(published);
    return { ...published, line };
  },
  say: ({ line }) => [line],
});

function readNumber(text: string | boolean): number {
  if (typeof text === 'string' && /^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError('--fewer needs the number of memories that the refusal named, such as --fewer 12');
}
