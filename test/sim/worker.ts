// A process of the simulation: runs its share of the histories and reports the result after each.
import { historySeed } from './dice.ts';
import { runHistory } from './history.ts';
import type { EngineClass } from './machine.ts';
import { hasFailed } from './verdict.ts';
import type { Share, HistoryReport } from './run.ts';
import { drawPlan } from './steps.ts';

async function run(share: Share): Promise<void> {
  const { MemoryEngine } = (await import(share.engine)) as { MemoryEngine: EngineClass };
  for (const history of share.histories) {
    const seed = historySeed(share.seed, history);
    const plan = drawPlan(seed);
    const outcome = await runHistory(plan, seed, { engineClass: MemoryEngine, root: share.root });
    const failure = hasFailed(outcome) ? { history, outcome } : null;
    const told: HistoryReport = { faults: outcome.faults, failure };
    await new Promise<void>((resolve, reject) => {
      process.send?.(told, (error) => (error === null ? resolve() : reject(error)));
    });
    if (failure !== null && share.untilFailure) break;
  }
}

process.once('message', (share: Share) => {
  run(share).then(
    () => process.disconnect(),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : String(error)}\n`);
      process.exit(1);
    },
  );
});
