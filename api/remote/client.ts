import { attempt, type Attempt, type Outgoing, type RemoteAnswer } from './attempt.ts';
import { joinSegments } from './base-url.ts';
import { openConnection, type Connection, type RemoteState } from './connection.ts';
import { circuitIsOpen, refused, unreachable } from './errors.ts';
import { pause } from './pause.ts';
import { delayBeforeRetry } from './retry.ts';

/** The control plane to ask. */
export interface RemoteTarget {
  /** As parseBaseUrl gives it. */
  readonly url: string;
  readonly adminKey: string | null;
}

/** One call to it. */
export interface RemoteCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path, each segment as it is, not encoded. */
  readonly segments: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly requestId?: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
  /** A person asks for this one: it is tried once, whatever the circuit says. */
  readonly byHand?: boolean;
}

/** The client of a control plane elsewhere. */
export interface RemoteClient {
  /**
   * @returns its answer, also one that says no
   * @throws MembridgeError control_plane_unreachable; control_plane_refused when what answers is no control plane, or does
   *   not take the admin key; bad_request for a segment that cannot be one; the signal's reason when it aborts
   */
  call(target: RemoteTarget, call: RemoteCall): Promise<RemoteAnswer>;
  state(): RemoteState;
}

/** How the client waits and counts. */
interface RemoteRules {
  /** For one try, in milliseconds. */
  readonly attemptMs: number;
  /** For a call with all its tries, in milliseconds. */
  readonly totalMs: number;
  /** Consecutive failures that open the circuit, and how long it then stays open, in milliseconds. */
  readonly threshold: number;
  readonly cooldownMs: number;
  readonly random: () => number;
}

const RULES: RemoteRules = {
  attemptMs: 10_000,
  totalMs: 30_000,
  threshold: 5,
  cooldownMs: 15_000,
  random: Math.random,
};

/** How a process that passes calls on names itself to the next, in the header Via. */
export const VIA = 'membridge-runtime';

/** Makes a client. What it learnt it forgets when another address or key is set. */
export function createRemoteClient(given: Partial<RemoteRules> = {}): RemoteClient {
  const rules = { ...RULES, ...given };
  let asked: RemoteTarget = { url: '', adminKey: null };
  let connection = openConnection('', rules);

  const tryOnce = async (
    known: Connection,
    outgoing: Outgoing,
    call: RemoteCall,
    ms: number,
  ): Promise<Attempt> => {
    const { allowed, probe, circuit } = known.admit(Date.now());
    if (!allowed && call.byHand !== true) {
      const until = circuit.kind === 'open' ? circuit.until : 0;
      throw circuitIsOpen(known.url, until - Date.now(), known.state().lastError);
    }
    const result = await attempt(outgoing, ms, call.signal);
    known.learn(result, probe, Date.now());
    return result;
  };

  const withRetries = async (known: Connection, outgoing: Outgoing, call: RemoteCall): Promise<Attempt> => {
    const ends = Date.now() + rules.totalMs;
    for (let made = 1; ; made += 1) {
      const result = await tryOnce(known, outgoing, call, Math.min(rules.attemptMs, ends - Date.now()));
      if (result.kind !== 'busy' && result.kind !== 'unreachable') return result;
      const delay = delayBeforeRetry({
        method: call.method,
        attempt: made,
        retryAfterMs: result.kind === 'busy' ? result.retryAfterMs : null,
        random: rules.random(),
      });
      if (call.byHand === true || known.circuit().kind !== 'closed') return result;
      // A wait that leaves no time for the try after it would only keep the caller waiting.
      if (delay === null || Date.now() + delay >= ends) return result;
      await pause(delay, call.signal);
    }
  };

  return {
    call: async (target, call) => {
      if (asked.url !== target.url || asked.adminKey !== target.adminKey) {
        asked = target;
        connection = openConnection(target.url, rules);
      }
      const known = connection;
      return usable(known, target, await withRetries(known, outgoingOf(target, call), call), call.signal);
    },
    state: () => connection.state(),
  };
}

function outgoingOf(target: RemoteTarget, call: RemoteCall): Outgoing {
  const query = new URLSearchParams(call.query).toString();
  const path = joinSegments(target.url, call.segments);
  return {
    url: query === '' ? path : `${path}?${query}`,
    method: call.method,
    headers: {
      Accept: 'application/json',
      Via: `1.1 ${VIA}`,
      ...(target.adminKey === null ? {} : { 'X-MEMBRIDGE-ADMIN': target.adminKey }),
      ...(call.requestId === undefined ? {} : { 'X-Request-ID': call.requestId }),
      ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    body: call.body === undefined ? null : JSON.stringify(call.body),
  };
}

/** The answer that a call ended with. @throws as RemoteClient.call does */
function usable(
  known: Connection,
  target: RemoteTarget,
  result: Attempt,
  signal: AbortSignal | undefined,
): RemoteAnswer {
  if (result.kind === 'aborted') throw signal?.reason;
  if (result.kind === 'unreachable') throw unreachable(target.url, result.reason);
  if (result.kind === 'refused') {
    known.note(result.reason);
    throw refused(target.url, result.reason);
  }
  const { answer } = result;
  // Given back as it is, a browser would take it for the end of its own session here.
  if (answer.status !== 401 && answer.status !== 403) return answer;
  const reason =
    target.adminKey === null ? 'it wants an admin key and none is set' : 'it does not take the admin key';
  known.note(reason);
  throw refused(target.url, `${reason}; set its MEMBRIDGE_ADMIN_KEY under Runtime, Settings`);
}
