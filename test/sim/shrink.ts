import type { Call, Plan, Step } from './steps.ts';

/**
 * Shortens a failing plan. It leaves out steps, in halves first and then one by one. It removes faults from the
 * remaining calls, and machines, as long as the plan still fails.
 * @param fails returns whether a plan still fails
 * @param budget how many plans may be tried
 */
export async function shrink(
  plan: Plan,
  fails: (plan: Plan) => Promise<boolean>,
  budget = 400,
): Promise<Plan> {
  let best = plan;
  let left = budget;
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (left <= 0) return false;
    left -= 1;
    if (!(await fails(candidate))) return false;
    best = candidate;
    return true;
  };

  for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.steps.length && left > 0;) {
      const steps = best.steps.filter((_step, n) => n < at || n >= at + size);
      if (!(await attempt({ ...best, steps }))) at += size;
    }
  }
  for (let at = 0; at < best.steps.length; at += 1) {
    for (const simpler of simplerSteps(best.steps[at])) {
      const steps = best.steps.map((step, n) => (n === at ? simpler : step));
      if (await attempt({ ...best, steps })) break;
    }
  }
  await attempt({ ...best, skews: [] });
  if (best.shared > 0) await attempt({ ...best, shared: 0 });
  await attempt({ ...best, releases: best.releases.map(() => '13.25.3') });
  while (best.releases.length > 2 && (await attempt({ ...best, releases: best.releases.slice(0, -1) })));
  return best;
}

/** Returns simpler forms of a step, the simplest first. */
function simplerSteps(step: Step | undefined): Step[] {
  if (step?.do !== 'sync') return [];
  const calm = (call: Call): Call => ({
    ...call,
    dieAfter: null,
    faults: [],
    full: null,
    lockedUntil: null,
    cancelledAt: null,
    meanwhile: null,
  });
  const candidates: Step[] = [];
  if (step.calls.length > 1) for (const call of step.calls) candidates.push({ ...step, calls: [call] });
  candidates.push({ ...step, calls: step.calls.map(calm) });
  candidates.push({ ...step, calls: step.calls.map((call) => ({ ...calm(call), dieAfter: call.dieAfter })) });
  candidates.push({ ...step, calls: step.calls.map((call) => ({ ...calm(call), faults: call.faults })) });
  return candidates.filter((candidate) => JSON.stringify(candidate) !== JSON.stringify(step));
}
