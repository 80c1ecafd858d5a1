import { z } from 'zod';
import { noWords } from '../calls/engine-call.ts';
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

/** `membridge status`: exits with 0 only when the memory is ready, every space is in step, and the control plane answers. */
export const statusCommand: Command = {
  name: 'status',
  usage: '',
  summary: 'what this node holds and takes part in',
  run: async (typed, json) => {
    noWords('status', typed);
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
    const rows = Object.entries(memory.rows ?? {}).map(([kind, count]) => `${count} ${kind}`);
    print(`host     ${hostname}`);
    print(`memory   ${db_path}: ${memory.schema ?? 'not read'}`);
    print(`state    ${ok ? state : `${state === 'ready' ? 'not reported' : state}: ${detail}`}`);
    if (rows.length > 0) print(`rows     ${rows.join(', ')}`);
    for (const space of spaces) {
      print(`space    ${space.projectId} (${space.cid}): ${space.projects.join(', ')}`);
      const known = states.find(({ canonical_id: cid }) => cid === space.cid);
      if (known !== undefined)
        print(`         ${[known.state, known.detail].filter((text) => text !== '').join(': ')}`);
    }
    return ok ? 0 : 1;
  },
};
