import type { Request, RequestHandler, Response } from 'express';
import type { SyncCall } from '../../memory/engine.ts';
import type { Agent } from '../agent.ts';
import type { EngineCall } from '../calls/engine-call.ts';
import { toProblem } from './problems.ts';

/** The type of an answer in lines: one for each progress report while a call runs, then `{"result"}` or `{"problem"}`. */
const LINES_MEDIA_TYPE = 'application/x-ndjson';

/**
 * Makes Express's handler of a call of agent/calls. It checks the input, has the memory thread run it, and answers
 * its output as JSON. A client that asks for lines gets progress while it runs. When the client disconnects, the call
 * ends.
 */
export function serveCall(agent: Agent, engineCall: EngineCall): RequestHandler {
  return async (request: Request, response: Response): Promise<void> => {
    const input = engineCall.input.parse(request.body ?? {});
    const dryRun = describeDryRun(agent, engineCall, input);
    if (dryRun !== null) {
      response.json(dryRun);
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the caller disconnected')));
    const inLines = request.accepts(['application/json', LINES_MEDIA_TYPE]) === LINES_MEDIA_TYPE;
    if (inLines) response.type(LINES_MEDIA_TYPE).flushHeaders();
    const tell = (line: object): boolean => inLines && response.write(`${JSON.stringify(line)}\n`);
    try {
      const call = { signal: gone.signal, progress: (progress: string): void => void tell({ progress }) };
      const result = await runEngineCall(agent, engineCall, input, call);
      if (inLines) tell({ result });
      else response.json(result);
    } catch (error) {
      if (!inLines) throw error;
      tell({ problem: toProblem(error, agent.config.serverUrl) });
    }
    response.end();
  };
}

/**
 * Has the memory thread run a call of agent/calls. With a dry run, a call that changes something only describes
 * itself.
 * @param input as the call's own schema parsed it
 */
export async function runEngineCall(
  agent: Agent,
  engineCall: EngineCall,
  input: unknown,
  call: SyncCall,
): Promise<unknown> {
  const dryRun = describeDryRun(agent, engineCall, input);
  if (dryRun !== null) return dryRun;
  try {
    return engineCall.output.parse(await agent.memory.call(engineCall.name, input, call));
  } finally {
    agent.heartbeat.bringForward();
  }
}

function describeDryRun({ config }: Agent, engineCall: EngineCall, input: unknown): object | null {
  if (!config.dryrun || !engineCall.changes(input)) return null;
  return { dryrun: true, detail: `[DRYRUN] Would run ${engineCall.name} ${JSON.stringify(input)}` };
}
