import { mkdtempSync } from 'node:fs';
import { MemoryEngine } from '../../memory/engine.ts';
import { runHistory } from './history.ts';
import { historySeed } from './dice.ts';
import { drawPlan, type Plan } from './steps.ts';
import { shrink } from './shrink.ts';
const root = mkdtempSync('/dev/shm/sim-');
const [from, to] = [Number(process.argv[2] ?? 0), Number(process.argv[3] ?? 20)];
const mode = process.argv[4];
const changes = process.argv.includes('--changes');
const began = performance.now();
let bad = 0;
const all = (o: Awaited<ReturnType<typeof runHistory>>) => [
  ...o.lost.map((x) => 'LOST ' + x),
  ...o.duplicated.map((x) => 'DUP ' + x),
  ...o.invented.map((x) => 'INV ' + x),
  ...o.diverged.map((x) => 'DIV ' + x),
  ...o.broken.map((x) => 'BROKEN ' + x),
];
for (let n = from; n < to; n++) {
  const seed = historySeed(1, n);
  const trace = mode === 'trace' ? (l: string) => console.log(l) : undefined;
  const plan = drawPlan(seed, { changes });
  const o = await runHistory(plan, seed, { engineClass: MemoryEngine, root, ...(trace ? { trace } : {}) });
  const lines = all(o);
  if (lines.length) {
    bad++;
    console.log(n, lines.length, lines.slice(0, 3).join('\n   '));
    if (mode === 'shrink') {
      const kind = lines[0]!.split(' ')[0]!;
      const small = await shrink(plan, async (p: Plan) =>
        all(await runHistory(p, seed, { engineClass: MemoryEngine, root })).some((l) => l.startsWith(kind)),
      );
      console.log(small.releases.join(' '), 'shared', small.shared);
      const again = await runHistory(small, seed, {
        engineClass: MemoryEngine,
        root,
        trace: (l) => console.log('   ', l),
      });
      console.log(all(again).slice(0, 4).join('\n'));
    }
  }
}
console.log(bad, 'bad', ((performance.now() - began) / (to - from)).toFixed(1), 'ms each');
