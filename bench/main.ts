/** `npm run bench -- NAME [--json]`: measured figures, with the machine and versions they were measured on. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { elapsed } from '../stack/machine.mjs';
import { findTool } from '../stack/tools.ts';
import { surroundings, type BenchReport, type Result } from './results.ts';
import { benchStack } from './stack.ts';

type Bench = (root: string, log: (line: string) => void) => Promise<Result[]>;

const BENCHES: Readonly<Record<string, Bench>> = { stack: benchStack };

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const began = Date.now();
const log = (line: string): void => void process.stderr.write(`[${elapsed(began).padStart(6)}] ${line}\n`);

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
});
const name = positionals[0] ?? '';
const bench = BENCHES[name];
if (bench === undefined || positionals.length > 1) {
  process.stderr.write(
    `npm run bench -- NAME [--json]\n  NAME is one of: ${Object.keys(BENCHES).join(', ')}\n`,
  );
  process.exit(2);
}

const version = async (tool: 'temporal' | 'minio'): Promise<string> =>
  execFileSync(await findTool(tool, log), ['--version'], { encoding: 'utf8' })
    .split('\n')[0]
    ?.trim() ?? '';
const around = surroundings({
  temporal: await version('temporal'),
  minio: await version('minio'),
  postgresql: '18.4',
});
const report: BenchReport = { name, ...around, results: await bench(root, log) };

if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  const { machine, versions, results } = report;
  process.stdout.write(
    `\n${name} on ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, load ${machine.load}\n`,
  );
  process.stdout.write(
    `${Object.entries(versions)
      .map(([part, is]) => `${part} ${is}`)
      .join(', ')}\n\n`,
  );
  for (const result of results) {
    const figure = result.value === null ? `p50 ${result.p50}  p99 ${result.p99}` : String(result.value);
    process.stdout.write(`  ${result.case}: ${result.metric}: ${figure} ${result.unit} (n=${result.n})\n`);
  }
}
process.exit(0);
