/** `npm run bench -- NAME [--rows N ...] [--nodes N ...] [--json]`: measured figures, with the machine and versions they were measured on. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { elapsed } from '../stack/machine.mjs';
import { findTool } from '../stack/tools.ts';
import { MEMORIES, benchFleet } from './fleet.ts';
import { benchGateway } from './gateway.ts';
import { benchMemory } from './memory.ts';
import { benchProjects } from './projects.ts';
import { lineOf, surroundings, type BenchReport, type Result } from './results.ts';
import { benchTasks } from './tasks.ts';
import { benchSandbox } from './sandbox.ts';
import { benchStack } from './stack.ts';

type Bench = (root: string, log: (line: string) => void, sizes: readonly number[]) => Promise<Result[]>;

const BENCHES: Readonly<Record<string, Bench>> = {
  stack: benchStack,
  memory: benchMemory,
  projects: benchProjects,
  tasks: benchTasks,
  sandbox: benchSandbox,
  fleet: benchFleet,
  gateway: benchGateway,
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const began = Date.now();
const log = (line: string): void => void process.stderr.write(`[${elapsed(began).padStart(6)}] ${line}\n`);

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rows: { type: 'string', multiple: true, default: [] },
    nodes: { type: 'string', multiple: true, default: [] },
  },
});
const rows = values.rows.map(Number);
const nodes = values.nodes.map(Number);
const name = positionals[0] ?? '';
const bench = BENCHES[name];
const sizesMakeSense =
  rows.every((count) => Number.isInteger(count) && count >= 1_000) &&
  nodes.every((count) => Number.isInteger(count) && count >= MEMORIES);
if (
  bench === undefined ||
  positionals.length > 1 ||
  !sizesMakeSense ||
  (rows.length > 0 && name !== 'memory') ||
  (nodes.length > 0 && name !== 'fleet')
) {
  process.stderr.write(
    `npm run bench -- NAME [--rows N ...] [--nodes N ...] [--json]
  NAME is one of: ${Object.keys(BENCHES).join(', ')}
  --rows N: for memory, the size of the database in rows, 1000 or more; may be given several times
  --nodes N: for fleet, the number of agents, ${MEMORIES} or more; may be given several times\n`,
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
const report: BenchReport = {
  name,
  ...around,
  results: await bench(root, log, name === 'fleet' ? nodes : rows),
};

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
    process.stdout.write(`  ${lineOf(result)}\n`);
  }
}
process.exit(0);
