import type { Request, RequestHandler, Response } from 'express';
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
    const { name } = engineCall;
    const input = engineCall.input.parse(request.body ?? {});
    if (agent.config.dryrun && engineCall.changes(input)) {
      response.json({ dryrun: true, detail: `[DRYRUN] Would run ${name} ${JSON.stringify(input)}` });
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the caller disconnected')));
    const inLines = request.accepts(['application/json', LINES_MEDIA_TYPE]) === LINES_MEDIA_TYPE;
    if (inLines) response.type(LINES_MEDIA_TYPE).flushHeaders();
    const tell = (line: object): boolean => inLines && response.write(`${JSON.stringify(line)}\n`);
    try {
      const call = { signal: gone.signal, progress: (progress: string): void => void tell({ progress }) };
      const result = engineCall.output.parse(await agent.memory.call(name, input, call));
      if (inLines) tell({ result });
      else response.json(result);
    } catch (error) {
      if (!inLines) throw error;
      tell({ problem: toProblem(error, agent.config.serverUrl) });
    } finally {
      agent.heartbeat.bringForward();
    }
    response.end();
  };
}
