import { attempt, type Attempt, type Outgoing, type RemoteAnswer } from './attempt.ts';
import { joinSegments } from './base-url.ts';
import { openConnection, type Connection, type RemoteState } from './connection.ts';
import { circuitOpenError, refusedError, unreachableError } from './errors.ts';
import { pause } from './pause.ts';
import { delayBeforeRetry } from './retry.ts';

/** The control plane to ask. */
export interface RemoteTarget {
  /** In the form of parseBaseUrl. */
  readonly url: string;
  readonly adminKey: string | null;
}

/** One call to a control plane. */
export interface RemoteCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path's segments, not encoded. */
  readonly segments: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly requestId?: string;
  /** Aborts when nobody waits for the answer any longer. */
  readonly signal?: AbortSignal;
  /** A person asks for this call: it is tried once, even when the circuit is open. */
  readonly byHand?: boolean;
}

/** The client of a remote control plane. */
export interface RemoteClient {
  /**
   * Makes a call.
   * @returns its answer, also one that refuses
   * @throws MembridgeError control_plane_unreachable; control_plane_refused when the server is no control plane, or
   * refuses the admin key; bad_request for an invalid segment; the signal's reason when it aborts
   */
  call(target: RemoteTarget, call: RemoteCall): Promise<RemoteAnswer>;
  state(): RemoteState;
}

/** The client's deadlines, and the rules of its circuit. */
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

const DEFAULT_RULES: RemoteRules = {
  attemptMs: 10_000,
  totalMs: 30_000,
  threshold: 5,
  cooldownMs: 15_000,
  random: Math.random,
};

/** The name of a forwarding process in the header Via. */
export const VIA = 'membridge-runtime';

/** Makes a client. It forgets what it learned when another address or key is set. */
export function createRemoteClient(given: Partial<RemoteRules> = {}): RemoteClient {
  const rules = { ...DEFAULT_RULES, ...given };
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
      throw circuitOpenError(known.url, until - Date.now(), known.state().lastError);
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
      // A wait that leaves no time for the next try would only delay the caller.
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
      return toAnswer(known, target, await withRetries(known, outgoingOf(target, call), call), call.signal);
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

/** Returns the answer that a call ended with. @throws as RemoteClient.call does */
function toAnswer(
  known: Connection,
  target: RemoteTarget,
  result: Attempt,
  signal: AbortSignal | undefined,
): RemoteAnswer {
  if (result.kind === 'aborted') throw signal?.reason;
  if (result.kind === 'unreachable') throw unreachableError(target.url, result.reason);
  if (result.kind === 'refused') {
    known.note(result.reason);
    throw refusedError(target.url, result.reason);
  }
  const { answer } = result;
  // Returned unchanged, a browser would read it as the end of its own session here.
  if (answer.status !== 401 && answer.status !== 403) return answer;
  const reason =
    target.adminKey === null ? 'it requires an admin key, and none is set' : 'it does not take the admin key';
  known.note(reason);
  throw refusedError(target.url, `${reason}; set its MEMBRIDGE_ADMIN_KEY under Runtime, Settings`);
}
