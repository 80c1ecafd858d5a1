import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { readConfigEnv } from '../../memory/legacy/config-env.ts';
import { UsageError, defineEngineCall } from './engine-call.ts';
import { spaceOf } from './space-of.ts';

const Word = z.enum(['import', 'publish']);

/** Exchanges memories with machines that still run the original's scripts. */
export const legacy = defineEngineCall({
  name: 'legacy',
  usage: '(import [--file FILE] | publish [--overwrite]) [--project NAME]',
  summary: 'exchange memories with machines that still run the original scripts',
  help: `The store is the one of ~/.claude-mem-minio/config.env (MEMBRIDGE_CONFIG_ENV), which is read and never written.

  import       merge the snapshot that the original's push stored, or the database in FILE
  publish      store a snapshot that the original's pull takes; it replaces the whole database of the machine that pulls
  --overwrite  also over a snapshot that cannot be read`,
  options: { file: { type: 'string' }, overwrite: { type: 'boolean' }, project: { type: 'string' } },
  input: z.strictObject({
    what: Word,
    file: z.string().refine(isAbsolute, 'must be an absolute path').nullable(),
    overwrite: z.boolean(),
    project: z.string().optional(),
  }),
  output: z.looseObject({ line: z.string() }),
  changes: () => true,
  read: ({ words, options }) => {
    const [word, ...rest] = words;
    const what = Word.safeParse(word);
    if (!what.success || rest.length > 0) throw new UsageError('"legacy" needs import or publish');
    const { file, overwrite, project } = options;
    return {
      what: what.data,
      file: typeof file === 'string' ? resolve(file) : null,
      overwrite: overwrite === true,
      project: project as string | undefined,
    };
  },
  run: async ({ engine, spaces, configEnv, call }, { what, file, overwrite, project }) => {
    const config = spaceOf(spaces, project);
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
    const { access, lockSeconds } = readConfigEnv(configEnv);
    const published = await engine.publishLegacy(config, { access, lockSeconds, overwrite }, call);
    const line =
      published.state === 'published'
        ? `published: ${published.sha}; ${published.imported} memories came in from the snapshot before`
        : 'unchanged: the store holds these memories already';
    return { ...published, line };
  },
  say: ({ line }) => [line],
});
