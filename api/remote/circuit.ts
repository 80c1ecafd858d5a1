import { assertNever } from '../../contract/http/primitives.ts';

/**
 * A circuit breaker as data: what is known of a server that may be away. `closed` lets every call through; `open` none
 * until a moment; `half-open` one, whose end decides. Moments are epoch ms.
 */
export type Circuit =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly failures: number; readonly until: number }
  | { readonly kind: 'half-open'; readonly failures: number };

/** When a circuit opens, and for how long. */
export interface CircuitRules {
  /** Consecutive failures that open it. */
  readonly threshold: number;
  /** How long it stays open before one call may look again, in milliseconds. */
  readonly cooldownMs: number;
}

/** A circuit of which nothing is known yet. */
export const CLOSED: Circuit = { kind: 'closed', failures: 0 };

/** What a call meets: whether it may go, and whether it is the one that looks again. */
export interface Admission {
  readonly circuit: Circuit;
  readonly allowed: boolean;
  readonly probe: boolean;
}

/** Asks for one call at a moment. */
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

/** A call was answered: whatever was thought of the server, it is there. */
export function afterSuccess(): Circuit {
  return CLOSED;
}

/**
 * A call failed.
 * @param probe whether it was the one that looked again; others that end late change nothing once the circuit is not closed
 */
export function afterFailure(circuit: Circuit, probe: boolean, now: number, rules: CircuitRules): Circuit {
  if (circuit.kind !== 'closed' && !probe) return circuit;
  const failures = circuit.failures + 1;
  if (circuit.kind === 'closed' && failures < rules.threshold) return { kind: 'closed', failures };
  return { kind: 'open', failures, until: now + rules.cooldownMs };
}

/** A call ended without telling anything: its caller went away. After a probe, the next call may look. */
export function afterAbandoned(circuit: Circuit, probe: boolean, now: number): Circuit {
  return probe && circuit.kind === 'half-open'
    ? { kind: 'open', failures: circuit.failures, until: now }
    : circuit;
}
