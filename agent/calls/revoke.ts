import { z } from 'zod';
import { EpochMs, NodeId } from '../../contract/http/primitives.ts';
import { UsageError, defineEngineCall, refuseWords } from './engine-call.ts';
import { findSpaceOf } from './find-space-of.ts';
import { readMoment, formatMoment, TIME_HELP } from './typed-moment.ts';

/** Takes back what a node wrote since a time, or undoes that. */
export const revoke = defineEngineCall({
  name: 'revoke',
  usage: '(--node N --since TIME [--dry-run | --yes] | --undo ID | --list) [--project NAME]',
  summary: 'take back everything that a node wrote since a time, or undo that',
  help: `Memories that first arrived from the node since then are deleted on every node, and what it changed gets its former value.
This node keeps what it needs to undo that. To keep more of it from coming in, set the node's trust to "ignore" on the page.
Before anything changes, the command shows the time that it understood and how much it would take back, and asks.

  --since TIME   by the node's own clock
  --dry-run      only count
  --yes          do not ask (needed where no terminal is)
  --undo ID      give everything back
  --list         what was revoked on this node

${TIME_HELP}`,
  options: {
    node: { type: 'string' },
    since: { type: 'string' },
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    undo: { type: 'string' },
    list: { type: 'boolean' },
    project: { type: 'string' },
  },
  input: z.strictObject({
    project: z.string().optional(),
    what: z.union([
      z.strictObject({ node: NodeId, since: EpochMs, dryRun: z.boolean() }),
      z.strictObject({ undo: z.string().min(1) }),
      z.strictObject({ list: z.literal(true) }),
    ]),
  }),
  output: z.strictObject({ lines: z.array(z.string()), id: z.string().nullable() }),
  changes: ({ what }) => 'undo' in what || ('node' in what && !what.dryRun),
  read: (typed) => {
    refuseWords('revoke', typed);
    const { node, since, undo, list, 'dry-run': dryRun } = typed.options;
    const project = typed.options['project'] as string | undefined;
    if (list === true) return { project, what: { list: true as const } };
    if (typeof undo === 'string') return { project, what: { undo } };
    if (typeof node !== 'string' || typeof since !== 'string') {
      throw new UsageError('"revoke" needs --node N and --since TIME, or --undo ID, or --list');
    }
    return { project, what: { node, since: readMoment('--since', since), dryRun: dryRun === true } };
  },
  confirm: ({ project, what }) =>
    'node' in what
      ? {
          understood: [`since ${formatMoment(what.since)}, by the clock of ${what.node}`],
          asks: what.dryRun
            ? null
            : {
                trial: { project, what: { ...what, dryRun: true } },
                question: 'Take them back, on every node?',
              },
        }
      : null,
  run: async ({ engine, spaces, call }, { project, what }) => {
    if ('list' in what) {
      const all = await engine.revocations();
      const lines = all.map(
        ({ id, node, since, at, undone }) =>
          `${id}  ${node} since ${new Date(since).toISOString()}, at ${new Date(at).toISOString()}${undone ? ', undone' : ''}`,
      );
      return { id: null, lines: lines.length === 0 ? ['Nothing was revoked on this node.'] : lines };
    }
    const config = findSpaceOf(spaces, project);
    const done =
      'undo' in what
        ? await engine.undoRevocation(config, what.undo, call)
        : await engine.revoke(config, what, call);
    const verb = 'undo' in what ? 'given back' : what.dryRun ? 'would be taken back' : 'taken back';
    return {
      id: done.id,
      lines: [
        `${done.memories} memories and ${done.changes} changes ${verb}${done.kept > 0 ? `; ${done.kept} stay as they are` : ''}`,
        ...(done.id === null || 'undo' in what ? [] : [`to undo it: membridge revoke --undo ${done.id}`]),
      ],
    };
  },
  say: ({ lines }) => lines,
});
