import { z } from 'zod';
import { defineEngineCall, refuseWords } from './engine-call.ts';
import { findSpaceOf } from './find-space-of.ts';

/** Writes the merged state of a space to the store, so that new nodes can begin with it. */
export const snapshot = defineEngineCall({
  name: 'snapshot',
  usage: '[--project NAME]',
  summary: 'write the merged state of a space to the store',
  help: `New nodes begin with the newest snapshot instead of every segment since the first, and collection removes only segments
that a snapshot holds. The command refuses while this node has not applied every segment.`,
  options: { project: { type: 'string' } },
  input: z.strictObject({ project: z.string().optional() }),
  output: z.looseObject({ id: z.string(), parts: z.number(), operations: z.number(), bytes: z.number() }),
  changes: () => true,
  read: (typed) => {
    refuseWords('snapshot', typed);
    return { project: typed.options['project'] as string | undefined };
  },
  run: async ({ engine, spaces, call }, { project }) => ({
    ...(await engine.snapshot(findSpaceOf(spaces, project), call)),
  }),
  say: ({ id, parts, operations, bytes }) => [
    `snapshot ${id}: ${operations} memories in ${parts} parts, ${bytes} bytes`,
  ],
});
