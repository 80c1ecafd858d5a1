import type { Agent } from '../agent.ts';
import { serverOf } from '../control-plane/server.ts';
import type { RecentLog } from '../recent-log.ts';
import { CallAnswerer } from './answer-calls.ts';
import { openCallLink } from './call-link.ts';
import { makeRunCall } from './run-call.ts';

/**
 * Lets people ask this agent through the control plane.
 * @param recent the last lines of its log
 * @returns a function that ends it
 */
export function answerCallsOf(agent: Agent, recent: RecentLog): () => void {
  const { state, log } = agent;
  const answerer = new CallAnswerer(makeRunCall(agent, recent));
  return openCallLink({
    server: serverOf(agent.config, state),
    agentKey: state.enrolment.agent_key,
    serve: (socket) => answerer.serve(socket),
    report: (problem) => {
      if (problem === null) log.info('people can ask this node again');
      else log.warn({ reason: problem }, 'people cannot ask this node; the agent connects again');
    },
  });
}
