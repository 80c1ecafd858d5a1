import { assertNever } from '../../contract/http/primitives.ts';

/**
 * A circuit breaker as data, for a server that may be away. `closed` lets every call through. `open` lets none
 * through until a moment. `half-open` lets one through, the probe, whose result decides. Moments are epoch ms.
 */
export type Circuit =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly failures: number; readonly until: number }
  | { readonly kind: 'half-open'; readonly failures: number };

/** When a circuit opens, and for how long. */
export interface CircuitRules {
  /** Consecutive failures that open it. */
  readonly threshold: number;
  /** How long it stays open before one call may probe again, in milliseconds. */
  readonly cooldownMs: number;
}

/** A circuit about which nothing is known yet. */
export const CLOSED_CIRCUIT: Circuit = { kind: 'closed', failures: 0 };

/** Whether a call may be sent, and whether it is the probe. */
export interface Admission {
  readonly circuit: Circuit;
  readonly allowed: boolean;
  readonly probe: boolean;
}

/** Asks to send one call at a moment. */
export function admit(circuit: Circuit, now: number): Admission {
  switch (circuit.kind) {
    case 'closed':
      return { circuit, allowed: true, probe: false };
    case 'open': {
      if (now < circuit.until) return { circuit, allowed: false, probe: false };
      return { circuit: { kind: 'half-open', failures: circuit.failures }, allowed: true, probe: true };
    }
    case 'half-open':
      return { circuit, allowed: false, probe: false };
    default:
      return assertNever(circuit);
  }
}

/** Records an answered call: the server is available. */
export function afterSuccess(): Circuit {
  return CLOSED_CIRCUIT;
}

/**
 * Records a failed call.
 * @param probe whether it was the probe; the late end of another call changes nothing once the circuit is not closed
 */
export function afterFailure(circuit: Circuit, probe: boolean, now: number, rules: CircuitRules): Circuit {
  if (circuit.kind !== 'closed' && !probe) return circuit;
  const failures = circuit.failures + 1;
  if (circuit.kind === 'closed' && failures < rules.threshold) return { kind: 'closed', failures };
  return { kind: 'open', failures, until: now + rules.cooldownMs };
}

/** Records a call that ended without a result, because its caller disconnected. After a probe, the next call may probe. */
export function afterAbandoned(circuit: Circuit, probe: boolean, now: number): Circuit {
  return probe && circuit.kind === 'half-open'
    ? { kind: 'open', failures: circuit.failures, until: now }
    : circuit;
}
