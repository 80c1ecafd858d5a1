/**
 * `npm run hostile`: plays the attacks of somebody hostile inside the fleet, on real parts, and reports which rows of
 * the threat model (docs/internals/threat-model.md) hold. The attacks are the tests of this folder; each group is named after its
 * row, as "S4: …".
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const USAGE = `npm run hostile [-- OPTIONS]
  --row S4   only the attacks of one row
  --json     one JSON object on stdout
  Exit code 0 when every row holds.`;

/** Vitest's own report: each test with the groups that it is in. */
const Report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          ancestorTitles: z.array(z.string()),
          title: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});

const { values } = parseArgs({
  options: { row: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
});

async function main(): Promise<number> {
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'membridge-hostile-'));
  try {
    const file = join(folder, 'report.json');
    const filter = values.row === undefined ? [] : ['-t', `${values.row}: `];
    const child = spawn(
      'vitest',
      ['run', 'test/hostile/', ...filter, '--reporter=json', `--outputFile=${file}`],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    await new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
    const report = judge(Report.parse(JSON.parse(readFileSync(file, 'utf8'))));
    if (values.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
    else {
      for (const { row, attack, why } of report.attacks)
        process.stdout.write(`OPEN  ${row}  ${attack}\n      ${why}\n`);
      process.stdout.write(`${report.held} of ${report.rows} rows hold\n`);
    }
    return report.open === 0 && report.rows > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface OpenAttack {
  readonly row: string;
  readonly attack: string;
  readonly why: string;
}

/**
 * Judges the report. @returns how many rows there are, how many hold (no attack succeeded), and each attack that
 * succeeded
 */
function judge(report: z.infer<typeof Report>): {
  rows: number;
  held: number;
  open: number;
  attacks: OpenAttack[];
} {
  const rows = new Set<string>();
  const attacks: OpenAttack[] = [];
  for (const { name, message, assertionResults } of report.testResults) {
    // A file that could not even be loaded played no attack.
    if (assertionResults.length === 0 && message !== undefined && message !== '') {
      rows.add(name);
      attacks.push({ row: name, attack: 'was not played', why: message });
    }
    for (const { ancestorTitles, title, status, failureMessages } of assertionResults) {
      const row = /^(S\d+): /.exec(ancestorTitles[0] ?? title)?.[1];
      if (row === undefined || status === 'skipped' || status === 'pending') continue;
      rows.add(row);
      if (status !== 'passed')
        attacks.push({ row, attack: title, why: failureMessages?.[0]?.split('\n')[0] ?? '' });
    }
  }
  const open = new Set(attacks.map(({ row }) => row)).size;
  return { rows: rows.size, held: rows.size - open, open, attacks };
}

process.exit(await main());
