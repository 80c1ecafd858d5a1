import { z } from 'zod';
import { UsageError, defineEngineCall } from './engine-call.ts';

const Answer = z.enum(['approve', 'restore']);

/** Shows and answers the question that a push asks when very many memories are gone. */
export const deletes = defineEngineCall({
  name: 'deletes',
  usage: '[approve|restore]',
  summary: 'mass deletions that are held for confirmation',
  help: `When more than 50 memories, and more than 1 % of all, are gone from claude-mem's database at once, nothing is sent until
you say whether that was intended.

  approve   they were deleted on purpose: delete them on every node
  restore   it was an accident: have them back from the other nodes`,
  input: z.strictObject({ answer: Answer.optional() }),
  output: z.strictObject({
    answer: Answer.nullable(),
    /** Deletions that are held, or were until now; null while the node has not counted them. */
    deletes: z.number().int().nullable(),
    detail: z.string(),
  }),
  changes: ({ answer }) => answer !== undefined,
  read: ({ words }) => {
    const [word, ...rest] = words;
    if (word === undefined) return {};
    const answer = Answer.safeParse(word);
    if (answer.success && rest.length === 0) return { answer: answer.data };
    throw new UsageError(`"${words.join(' ')}" is not understood after "deletes": approve or restore`);
  },
  run: async ({ engine, call, guarded }, { answer }) => {
    if (answer === undefined) {
      const { heldDeletes } = await engine.status();
      const held = heldDeletes ?? (guarded === null ? 0 : null);
      return { answer: null, deletes: held, detail: guarded ?? heldSentence(held ?? 0) };
    }
    const { deletes: held } = await engine.resolveDeletes(answer, call);
    return { answer, deletes: held, detail: answeredSentence(answer, held) };
  },
  say: ({ detail }) => [detail],
});

function heldSentence(held: number): string {
  return held === 0
    ? 'No deletions are held back.'
    : `${held} deletions are held back. On purpose: membridge deletes approve. To have them back: membridge deletes restore.`;
}

function answeredSentence(answer: z.infer<typeof Answer>, held: number): string {
  if (answer === 'restore')
    return 'The memories return from the other nodes with the next pull, which follows automatically.';
  return held === 0
    ? 'No deletions were held back.'
    : `${held} deletions are approved; the next push sends them to the other nodes and follows automatically. Other nodes hold back mass deletions, too. To answer for all nodes at once, open the page: Membridge, the space, settings of this node.`;
}
