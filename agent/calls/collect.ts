import { z } from 'zod';
import { defineEngineCall, noWords } from './engine-call.ts';
import { spaceOf } from './space-of.ts';

/** Removes this node's segments that nobody needs any more. */
export const collect = defineEngineCall({
  name: 'collect',
  usage: '[--project NAME]',
  summary: 'remove segments of this node that nobody needs any more',
  help: `A segment goes when a snapshot that was read and verified holds it, every live node has used it, and it is older than 30
days, so that any moment within them can still be restored.`,
  options: { project: { type: 'string' } },
  input: z.strictObject({ project: z.string().optional() }),
  output: z.looseObject({
    segments: z.number(),
    snapshots: z.number(),
    bytes: z.number(),
    waitsFor: z.array(z.string()),
    problems: z.array(z.string()),
  }),
  changes: () => true,
  read: (typed) => {
    noWords('collect', typed);
    return { project: typed.options['project'] as string | undefined };
  },
  run: async ({ engine, spaces, call }, { project }) => {
    const collected = await engine.collect(spaceOf(spaces, project), call);
    return { ...collected, waitsFor: [...collected.waitsFor], problems: [...collected.problems] };
  },
  say: ({ segments, snapshots, bytes, waitsFor, problems }) => [
    `${segments} segments and ${snapshots} snapshots removed, ${bytes} bytes`,
    ...(waitsFor.length === 0 ? [] : [`others wait for ${waitsFor.join(', ')} to use them`]),
    ...problems,
  ],
});
