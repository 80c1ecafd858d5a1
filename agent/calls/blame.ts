import { z } from 'zod';
import { BlameAnswer, BlameInput } from '../../contract/nodes/remote-calls.ts';
import { UsageError, defineEngineCall } from './engine-call.ts';

const TypedWords = z.tuple([BlameInput.shape.kind, z.coerce.number().int().positive()]);
const time = (at: number): string => new Date(at).toISOString();
const signedBy = ({ signer }: { signer: string | null }): string =>
  signer === null ? '' : `; signed by ${signer}, not by the node that it names`;

/** Shows which node wrote a memory of this machine, and how it arrived. */
export const blame = defineEngineCall({
  name: 'blame',
  usage: 'KIND ID',
  summary: 'which node wrote a memory of this machine',
  help: `KIND is session, prompt, summary or observation; ID is the id that claude-mem shows.`,
  input: BlameInput,
  output: BlameAnswer,
  changes: () => false,
  read: ({ words }) => {
    const [kind, id, ...rest] = words;
    const parsed = TypedWords.safeParse([kind, id]);
    if (!parsed.success || rest.length > 0)
      throw new UsageError('"blame" needs a kind and an id, such as: observation 42');
    return { kind: parsed.data[0], id: parsed.data[1] };
  },
  run: async ({ engine }, { kind, id }) => ({
    memories: (await engine.blame(kind, id)).map(({ key, writer, segment, changed }) => ({
      key,
      writer,
      segment,
      changed: [...changed],
    })),
  }),
  say: ({ memories }) =>
    memories.length === 0
      ? ['This machine knows of no such memory.']
      : memories.flatMap(({ key, writer, segment, changed }) => [
          `memory   ${key}`,
          writer === null
            ? 'written  here; sent to no space'
            : `written  by ${writer.node}, told at ${time(writer.at)}${signedBy(writer)}`,
          segment === null
            ? 'came in  it was here first'
            : `came in  in segment ${segment.seq} of ${segment.node} (${segment.epoch}), at ${time(segment.at)}`,
          ...changed.map(
            (each) => `changed  ${each.part}, by ${each.node}, at ${time(each.at)}${signedBy(each)}`,
          ),
        ]),
});
