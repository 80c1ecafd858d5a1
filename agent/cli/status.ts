import { z } from 'zod';
import { refuseWords } from '../calls/engine-call.ts';
import { uncoveredSentence } from '../../contract/memory/uncovered.ts';
import { coverage } from '../calls/coverage.ts';
import type { CoverageAnswer } from '../../contract/nodes/remote-calls.ts';
import { call } from './client.ts';
import { print, type Command } from './command.ts';

const Status = z.looseObject({
  ok: z.boolean(),
  hostname: z.string(),
  state: z.string(),
  detail: z.string(),
  db_path: z.string(),
  memory: z.looseObject({
    schema: z.string().nullable(),
    rows: z.record(z.string(), z.number()).nullable(),
  }),
  space_states: z.array(z.looseObject({ canonical_id: z.string(), state: z.string(), detail: z.string() })),
  spaces: z.array(z.looseObject({ cid: z.string(), projectId: z.string(), projects: z.array(z.string()) })),
});

/**
 * `membridge status`. Exits with 0 only when the memory is ready, every space is in sync, and the control plane
 * answers.
 */
export const statusCommand: Command = {
  name: 'status',
  usage: '',
  summary: 'what this node holds and takes part in',
  run: async (typed, json) => {
    refuseWords('status', typed);
    const answer = await call('GET', '/status');
    if (json) {
      print(JSON.stringify(answer));
      return 0;
    }
    const {
      ok,
      hostname,
      state,
      detail,
      db_path,
      memory,
      spaces,
      space_states: states,
    } = Status.parse(answer);
    const hints = await readHints();
    const rows = Object.entries(memory.rows ?? {}).map(([kind, count]) => `${count} ${kind}`);
    print(`host     ${hostname}`);
    print(`memory   ${db_path}: ${memory.schema ?? 'not read'}`);
    print(`state    ${ok ? state : `${state === 'ready' ? 'not reported' : state}: ${detail}`}`);
    if (rows.length > 0) print(`rows     ${rows.join(', ')}`);
    for (const space of spaces) {
      print(`space    ${space.projectId} (${space.cid}): ${space.projects.join(', ')}`);
      const hint = hints.get(space.cid);
      if (hint !== undefined) print(`         ${hint}`);
      const known = states.find(({ canonical_id: cid }) => cid === space.cid);
      if (known !== undefined)
        print(`         ${[known.state, known.detail].filter((text) => text !== '').join(': ')}`);
    }
    return ok ? 0 : 1;
  },
};

/**
 * Returns a sentence for each space that covers nothing here, by canonical id; none where the database cannot be
 * read.
 */
async function readHints(): Promise<Map<string, string>> {
  const hints = new Map<string, string>();
  try {
    const answer = coverage.output.parse(await call('POST', `/${coverage.name}`, {})) as CoverageAnswer;
    for (const { cid, uncovered } of answer.spaces) {
      if (uncovered !== null) hints.set(cid, uncoveredSentence(uncovered));
    }
  } catch {
    // The line about the memory reports the problem.
  }
  return hints;
}
