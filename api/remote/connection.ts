import type { Attempt } from './attempt.ts';
import {
  CLOSED_CIRCUIT,
  admit,
  afterAbandoned,
  afterFailure,
  afterSuccess,
  type Admission,
  type Circuit,
  type CircuitRules,
} from './circuit.ts';

/** The state of the connection, as the health check and the page show it. */
export interface RemoteState {
  readonly consecutiveFailures: number;
  /** Epoch ms of the last answer. */
  readonly lastSuccess: number | null;
  readonly lastError: string | null;
  /** Whether the last call was answered, and the admin key accepted. */
  readonly connected: boolean;
  readonly circuit: Circuit['kind'];
}

/** What is known about one address so far. */
export interface Connection {
  readonly url: string;
  /** Asks whether a try may be sent now. */
  admit(now: number): Admission;
  /** Records the result of a try. @param probe whether it was the probe */
  learn(result: Attempt, probe: boolean, now: number): void;
  /** Records why an answer was unusable. */
  note(reason: string): void;
  /** Returns the present circuit. */
  circuit(): Circuit;
  state(): RemoteState;
}

/** Starts with an address about which nothing is known. */
export function openConnection(url: string, rules: CircuitRules): Connection {
  let circuit = CLOSED_CIRCUIT;
  let lastSuccess: number | null = null;
  let lastError: string | null = null;

  const learn: Connection['learn'] = (result, probe, now) => {
    if (result.kind === 'aborted') {
      circuit = afterAbandoned(circuit, probe, now);
      return;
    }
    const reason = explainAway(result);
    if (reason === null) {
      circuit = afterSuccess();
      lastSuccess = now;
      lastError = null;
    } else {
      circuit = afterFailure(circuit, probe, now, rules);
      lastError = reason;
    }
  };
  return {
    url,
    admit: (now) => {
      const admission = admit(circuit, now);
      circuit = admission.circuit;
      return admission;
    },
    learn,
    note: (reason) => {
      lastError = reason;
    },
    circuit: () => circuit,
    state: () => ({
      consecutiveFailures: circuit.failures,
      lastSuccess,
      lastError,
      connected: lastSuccess !== null && lastError === null,
      circuit: circuit.kind,
    }),
  };
}

/** Returns why a try shows that the server is away; null when it is available: 429 asks for time, but is an answer. */
function explainAway(result: Exclude<Attempt, { kind: 'aborted' }>): string | null {
  if (result.kind === 'unreachable') return result.reason;
  if (result.kind === 'busy' && result.answer.status !== 429) return `it answers ${result.answer.status}`;
  return null;
}
