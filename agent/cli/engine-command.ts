import { DryRunAnswer } from '../../contract/nodes/remote-calls.ts';
import type { EngineCall } from '../calls/engine-call.ts';
import { callLong } from './client.ts';
import { print, printAside, type Command } from './command.ts';
import { confirm } from './confirm.ts';

/** Makes the command of a call of agent/calls. */
export function engineCommand(engineCall: EngineCall): Command {
  const { name, usage, summary, help, options } = engineCall;
  return {
    name,
    usage,
    summary,
    help,
    ...(options === undefined ? {} : { options }),
    run: async (typed, json) => {
      const input = engineCall.read(typed);
      const { understood = [], asks = null } = engineCall.confirm?.(input) ?? {};
      for (const line of understood) printAside(line);
      if (asks !== null) {
        const trial = await callLong(`/${name}`, asks.trial, printAside);
        for (const line of engineCall.say(engineCall.output.parse(trial))) printAside(line);
        if (typed.options['yes'] !== true && !(await confirm(name, asks.question))) return 1;
      }
      const answer = await callLong(`/${name}`, input, printAside);
      const dryRun = DryRunAnswer.safeParse(answer);
      if (json) print(JSON.stringify(answer));
      else if (dryRun.success) print(dryRun.data.detail);
      else for (const line of engineCall.say(engineCall.output.parse(answer))) print(line);
      return 0;
    },
  };
}
