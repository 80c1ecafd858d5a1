import { uncoveredSentence } from '../../contract/memory/uncovered.ts';
import { CoverageAnswer, NoInput } from '../../contract/nodes/remote-calls.ts';
import { defineEngineCall, refuseWords } from './engine-call.ts';

/** Reports for each space whether it covers anything in this node's database. */
export const coverage = defineEngineCall({
  name: 'coverage',
  usage: '',
  summary: "whether each space covers anything of this node's database",
  help: 'A space that covers none of the claude-mem projects that are here sends nothing. Names the largest of these projects.',
  input: NoInput,
  output: CoverageAnswer,
  changes: () => false,
  read: (typed) => {
    refuseWords('coverage', typed);
    return {};
  },
  run: async ({ engine, spaces }) => {
    const found = await engine.uncovered(spaces);
    return {
      spaces: spaces.map(({ cid, projectId }) => ({
        cid,
        project: projectId,
        uncovered: found.get(cid) ?? null,
      })),
    };
  },
  say: ({ spaces }) =>
    spaces.length === 0
      ? ['This node takes part in no space yet.']
      : spaces.map(
          ({ project, uncovered }) =>
            `${project}: ${uncovered === null ? "the space covers memories of this node's database, or there are none yet" : uncoveredSentence(uncovered)}`,
        ),
});
