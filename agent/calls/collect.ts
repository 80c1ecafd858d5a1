import { z } from 'zod';
import { defineEngineCall, refuseWords } from './engine-call.ts';
import { findSpaceOf } from './find-space-of.ts';

/** Removes segments of this node that no node needs any longer. */
export const collect = defineEngineCall({
  name: 'collect',
  usage: '[--project NAME]',
  summary: 'remove segments of this node that no node needs any longer',
  help: `A segment is removed when a verified snapshot holds it, every live node has applied it, and it is older than 30
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
    refuseWords('collect', typed);
    return { project: typed.options['project'] as string | undefined };
  },
  run: async ({ engine, spaces, call }, { project }) => {
    const collected = await engine.collect(findSpaceOf(spaces, project), call);
    return { ...collected, waitsFor: [...collected.waitsFor], problems: [...collected.problems] };
  },
  say: ({ segments, snapshots, bytes, waitsFor, problems }) => [
    `${segments} segments and ${snapshots} snapshots removed, ${bytes} bytes`,
    ...(waitsFor.length === 0 ? [] : [`others wait until ${waitsFor.join(', ')} applied them`]),
    ...problems,
  ],
});
