/** `node test/hostile/redaction-main.ts [SEED]`: prints as JSON what redaction catches, misses and wrongly removes. */
import { measureRedaction } from './measure-redaction.ts';

const seed = Number(process.argv[2] ?? 1);
const { missed, ...report } = measureRedaction(seed, 100_000);
process.stdout.write(`${JSON.stringify({ ...report, missed: missed.length, which: missed })}\n`);
