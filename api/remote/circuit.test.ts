import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOSED_CIRCUIT,
  admit,
  afterAbandoned,
  afterFailure,
  afterSuccess,
  type Circuit,
} from './circuit.ts';

const rules = { threshold: 3, cooldownMs: 1_000 };

/** Returns the circuit after a number of consecutive failures, all at one moment. */
function failing(times: number, now: number): Circuit {
  let circuit = CLOSED_CIRCUIT;
  for (let n = 0; n < times; n += 1) circuit = afterFailure(circuit, false, now, rules);
  return circuit;
}

test('opens after exactly as many consecutive failures as the rules say', () => {
  expect(failing(2, 0)).toEqual({ kind: 'closed', failures: 2 });
  expect(failing(3, 5)).toEqual({ kind: 'open', failures: 3, until: 1_005 });
  expect(admit(failing(2, 0), 0)).toMatchObject({ allowed: true, probe: false });
  expect(admit(failing(3, 0), 999).allowed).toBe(false);
});

test('restarts the count after a success', () => {
  expect(afterSuccess()).toEqual(CLOSED_CIRCUIT);
});

describe('after its time', () => {
  const probing = admit(failing(3, 0), 1_000);

  test('lets one call probe, and no other meanwhile', () => {
    expect(probing).toMatchObject({ allowed: true, probe: true, circuit: { kind: 'half-open' } });
    expect(admit(probing.circuit, 99_999).allowed).toBe(false);
  });

  test('opens again when the probe fails', () => {
    expect(afterFailure(probing.circuit, true, 1_200, rules)).toEqual({
      kind: 'open',
      failures: 4,
      until: 2_200,
    });
  });

  test('ignores the failure of a call that began before', () => {
    expect(afterFailure(probing.circuit, false, 1_200, rules)).toEqual(probing.circuit);
    expect(afterFailure(failing(3, 0), false, 500, rules)).toEqual(failing(3, 0));
  });

  test('lets the next call probe immediately when the probe was abandoned', () => {
    const left = afterAbandoned(probing.circuit, true, 1_300);
    expect(admit(left, 1_300)).toMatchObject({ allowed: true, probe: true });
    expect(afterAbandoned(CLOSED_CIRCUIT, false, 0)).toEqual(CLOSED_CIRCUIT);
  });
});

test('allows at most one probe, none while open, and closes after one success, for any sequence', () => {
  const step = fc.record({
    what: fc.constantFrom('call', 'success', 'failure', 'abandon'),
    passes: fc.integer({ min: 0, max: 2_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let circuit = CLOSED_CIRCUIT;
      let now = 0;
      // Running calls, each with whether it is the probe.
      const calls: boolean[] = [];
      for (const { what, passes } of steps) {
        now += passes;
        if (what === 'call') {
          const before = circuit;
          const admission = admit(circuit, now);
          circuit = admission.circuit;
          if (before.kind === 'open') expect(admission.allowed).toBe(now >= before.until);
          if (admission.allowed) calls.push(admission.probe);
          expect(calls.filter((probe) => probe).length).toBeLessThanOrEqual(1);
          continue;
        }
        const probe = calls.shift();
        if (probe === undefined) continue;
        if (what === 'success') circuit = afterSuccess();
        if (what === 'failure') circuit = afterFailure(circuit, probe, now, rules);
        if (what === 'abandon') circuit = afterAbandoned(circuit, probe, now);
        if (what === 'success') expect(admit(circuit, now).allowed).toBe(true);
        // While half-open, there is a probe to wait for.
        if (circuit.kind === 'half-open') expect(calls).toContain(true);
        // Once another call closed it, the end of the probe decides nothing.
        else if (what === 'success') calls.fill(false);
      }
    }),
  );
});
