import { MembridgeError } from '../../contract/errors.ts';
import { parseLoosely } from '../../contract/http/parse-loosely.ts';
import { LOG_CALL, LogInput } from '../../contract/nodes/node-log.ts';
import { REMOTE_CALLS, isRemoteCall, type RemoteCallName } from '../../contract/nodes/remote-calls.ts';
import type { Agent } from '../agent.ts';
import { findEngineCall } from '../calls/index.ts';
import { diagnose } from '../local/diagnose.ts';
import { readStatus } from '../local/read-status.ts';
import { runEngineCall } from '../local/serve-call.ts';
import type { RecentLog } from '../recent-log.ts';
import type { RunCall } from './answer-calls.ts';
import { sendLog } from './send-log.ts';

/** Makes the function that works on calls of people from afar. It refuses every name that is not in the contract. */
export function makeRunCall(agent: Agent, recent: RecentLog): RunCall {
  const engineCall = (name: RemoteCallName) => {
    const call = findEngineCall(name);
    return (input: unknown, signal: AbortSignal) =>
      runEngineCall(agent, call, input, { signal, progress: () => undefined });
  };
  const table: Readonly<Record<RemoteCallName, (input: unknown, signal: AbortSignal) => Promise<unknown>>> = {
    status: (input) => Promise.resolve(readStatus(agent, REMOTE_CALLS.status.input.parse(input).project)),
    doctor: (_input, signal) => diagnose(agent, undefined, signal),
    audit: engineCall('audit'),
    blame: engineCall('blame'),
    coverage: engineCall('coverage'),
  };
  return async (name, input, context) => {
    if (name === LOG_CALL) return await sendLog(recent, LogInput.parse(input), context);
    if (!isRemoteCall(name)) {
      const known = Object.keys(table).join(', ');
      throw new MembridgeError('not_found', `this agent answers no call "${name}"; it answers: ${known}.`);
    }
    const { input: takes, output } = REMOTE_CALLS[name];
    // What scripts of this machine get beside the answer, such as the same text twice, stays here.
    return parseLoosely<unknown>(output, await table[name](takes.parse(input), context.signal));
  };
}
