import { AuditAnswer, AuditInput } from '../../contract/nodes/remote-calls.ts';
import { defineEngineCall, refuseWords } from './engine-call.ts';

/** Finds changes and deletions of memories that were sent before. */
export const audit = defineEngineCall({
  name: 'audit',
  usage: '[--recent]',
  summary: 'find changes and deletions of memories that were sent before',
  help: `Compares every row of claude-mem's database with the ledger, some 100,000 rows a second. The agent does the same
automatically in the background, within the hour. The next sync follows immediately and sends the findings.

  --recent   only the newest rows: some 2,000 of each kind`,
  options: { recent: { type: 'boolean' } },
  input: AuditInput,
  output: AuditAnswer,
  changes: () => true,
  read: (typed) => {
    refuseWords('audit', typed);
    return { deep: typed.options['recent'] !== true };
  },
  run: async ({ engine, call }, input) => {
    const audited = await engine.audit(call, input);
    // The next look must report what the audit found.
    engine.forgetNotice();
    return audited;
  },
  say: ({ rows, changed, deleted }) => [
    `${rows} rows compared: ${changed} changed, ${deleted} deleted since they were sent`,
  ],
});
