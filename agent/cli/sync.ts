import { z } from 'zod';
import type { SyncAction } from '../../contract/http/primitives.ts';
import { refuseWords } from '../calls/engine-call.ts';
import { call } from './client.ts';
import { print, type Command } from './command.ts';

const Spaces = z.looseObject({ spaces: z.array(z.looseObject({ projectId: z.string() })) });
const Sync = z.looseObject({ ok: z.boolean(), detail: z.string() });

const SUMMARIES: Record<SyncAction, string> = {
  sync: 'send new memories of this node, fetch those of other nodes',
  push: 'only send',
  pull: 'only fetch',
};

const syncCommand = (action: SyncAction): Command => ({
  name: action,
  usage: '[--project NAME]',
  summary: SUMMARIES[action],
  help: 'Without --project it syncs every space of this node.',
  options: { project: { type: 'string' } },
  run: async (typed, json) => {
    refuseWords(action, typed);
    const { project } = typed.options;
    const names = typeof project === 'string' ? [project] : await allSpaces();
    let failed = false;
    for (const name of names) {
      const path = action === 'sync' ? '/sync' : `/sync/${action}`;
      const answer = await call('POST', path, { project: name });
      const { ok, detail } = Sync.parse(answer);
      failed ||= !ok;
      print(json ? JSON.stringify(answer) : `${ok ? 'ok    ' : 'failed'}  ${name}: ${detail}`);
    }
    return failed ? 1 : 0;
  },
});

async function allSpaces(): Promise<string[]> {
  const { spaces } = Spaces.parse(await call('GET', '/status'));
  if (spaces.length > 0) return spaces.map((space) => space.projectId);
  throw new Error('This node takes part in no space yet. Create one on the page (Membridge, "New space").');
}

export const syncCommands: readonly Command[] = (['sync', 'push', 'pull'] as const).map(syncCommand);
