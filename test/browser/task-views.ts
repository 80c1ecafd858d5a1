import type { Fleet } from './fleet.ts';
import { fileOutput, recordPreviewOf, insertTestProposal } from '../git/proposals.ts';
import { startTaskWorker } from './task-worker.ts';

const PATCH = `diff --git a/src/checkout.ts b/src/checkout.ts
index 3f1c2aa..9be04d1 100644
--- a/src/checkout.ts
+++ b/src/checkout.ts
@@ -12,9 +12,12 @@ import { Cart } from './cart.ts';
 /** What a cart costs, in cents. */
 export function total(cart: Cart): number {
   let sum = 0;
-  for (const item of cart.items) sum += item.price;
+  for (const { price, count } of cart.items) {
+    // A line of a cart is of one article, and may be of many pieces.
+    sum += price * count;
+  }
   return sum;
 }
 
-export const SHIPPING = 490;
+export const SHIPPING_CENTS = 490;
 export const FREE_FROM_CENTS = 5_000;
diff --git a/src/checkout.test.ts b/src/checkout.test.ts
new file mode 100644
--- /dev/null
+++ b/src/checkout.test.ts
@@ -0,0 +1,5 @@
+import { expect, it } from 'vitest';
+import { total } from './checkout.ts';
+
+it('counts every piece', () =>
+  expect(total({ items: [{ price: 250, count: 3 }] })).toBe(750));
`;

const OUTPUT = [
  {
    stream: 'stdout',
    text: '\u001B[1mReading the repository\u001B[0m\n  214 files, 31 changed since Monday\n',
  },
  { stream: 'stderr', text: 'warning: 2 files are larger than 1 MB and were left out\n' },
  { stream: 'stdout', text: 'Looking at src/checkout.ts\nLooking at src/cart.ts\n' },
  { stream: 'stdout', text: 'Found: the total leaves out how many pieces there are of an article\n' },
  { stream: 'stdout', text: 'Writing a test for it …\n' },
] as const;

/** The ids of the things on the pages of tasks. */
export interface ShownTasks {
  readonly running: string;
  readonly completed: string;
  readonly proposal: string;
}

/** Makes tasks in every status that their pages know, and proposals to decide. */
export async function showTasks(fleet: Fleet, project: string): Promise<ShownTasks> {
  const { test } = fleet;
  const laptop = startTaskWorker(test, 'laptop');
  const desktop = startTaskWorker(test, 'desktop');
  const review = { agent_slug: 'reviewer', context_id: 'ctx_website', project_id: project };

  const done = await desktop.make({
    ...review,
    prompt: 'List what is slow on the start page, with a number for each.',
    desired_format: 'json',
    tags: ['speed'],
  });
  await desktop.lease(done.id);
  await desktop.heartbeat(done.id);
  await desktop.complete(done.id, {
    status: 'success',
    output: JSON.stringify({
      slow: [
        { what: 'hero.jpg', kilobytes: 1_840 },
        { what: 'fonts', kilobytes: 412 },
      ],
      first_paint_ms: 2_310,
    }),
    metrics: { duration_ms: 41_300, tokens_used: 18_204, cost_usd: 0.0871 },
    artifact_tags: ['report'],
  });

  const failed = await laptop.make({ agent_slug: 'translator', prompt: 'Translate the imprint to Polish.' });
  await laptop.lease(failed.id);
  await laptop.complete(failed.id, {
    status: 'error',
    error_message: 'There is no imprint in this project.',
  });
  const gone = await laptop.make({ prompt: 'Write a poem about merging.' });
  await test.call('POST', `/api/runtime/llm-tasks/${gone.id}/cancel`, { body: { reason: 'not needed' } });
  await laptop.make({ prompt: 'Wait for somebody to dispatch me.', agent_slug: 'writer', tags: ['later'] });
  await laptop.make({
    prompt: 'Train on the shop’s images.',
    agent_slug: 'trainer',
    pool: 'gpu',
    auto_dispatch: true,
    priority: 1,
  });

  const running = await laptop.make({
    ...review,
    prompt: `Review what changed in the shop since Monday.

Look for:
- totals that do not add up
- prices that are not in cents
- tests that are missing

Write what you find as a list, the worst first. Propose nothing; a person decides what to do about it.
Say where you looked, and where you did not.`,
    context_hints: ['src/checkout.ts', 'docs/prices.md'],
    tags: ['shop', 'weekly'],
    policy: { timeout_sec: 1_800, budget: 2 },
  });
  await laptop.lease(running.id, 3_600);
  await laptop.heartbeat(running.id);
  await laptop.write(running.id, OUTPUT);

  const proposal = await insertTestProposal(
    test.plane.deps,
    project,
    JSON.stringify({ kind: 'patch', patch: PATCH, title: 'Count every piece of an article' }),
    { taskId: done.id, workerId: 'desktop', agentSlug: 'reviewer' },
  );
  await recordPreviewOf(test.plane.deps, proposal, PATCH);
  const rejected = await insertTestProposal(
    test.plane.deps,
    project,
    fileOutput('docs/prices.md', 'Prices are in cents.\n', { title: 'Say that prices are in cents' }),
    { workerId: 'laptop', agentSlug: 'writer' },
  );
  await test.call('POST', `/api/runtime/proposals/${rejected}/reject`, {
    body: { reason: 'The handbook says so already.' },
  });
  return { running: running.id, completed: done.id, proposal };
}
