/**
 * `npm run compat`: plays the requests of the original's clients against real parts, and counts how many get the
 * original's answer. The requests are the tables of this folder.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const USAGE = `npm run compat [-- OPTIONS]
  --json   one JSON object on stdout
  Exit code 0 when each request is answered as the original answered it, or as docs/compatibility.md says.`;

const Line = z.object({
  client: z.string(),
  does: z.string(),
  method: z.string(),
  path: z.string(),
  /** The row of docs/compatibility.md; null where the answer must be the original's. */
  refused: z.string().nullable(),
  different: z.array(z.string()),
});

const { values } = parseArgs({ options: { json: { type: 'boolean' }, help: { type: 'boolean' } } });

async function main(): Promise<number> {
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'membridge-compat-report-'));
  try {
    const file = join(folder, 'answers.jsonl');
    const env = { ...process.env, MEMBRIDGE_COMPAT_REPORT: file };
    const args = [
      'run',
      'test/compat/clients.test.ts',
      '--reporter=json',
      `--outputFile=${join(folder, 'run.json')}`,
    ];
    const child = spawn('vitest', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    await new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    return reportAnswers(lines.map((line) => Line.parse(JSON.parse(line))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportAnswers(answers: readonly z.infer<typeof Line>[]): number {
  const wrong = answers.filter(({ different }) => different.length > 0);
  const refused = answers.filter((answer) => answer.refused !== null && answer.different.length === 0).length;
  const asOriginal = answers.length - wrong.length - refused;
  if (values.json === true) {
    const report = {
      requests: answers.length,
      as_original: asOriginal,
      documented: refused,
      different: wrong,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else {
    for (const { client, does, method, path, different } of wrong) {
      process.stdout.write(
        `DIFFERS  ${client}: ${does} (${method} ${path})\n         ${different.join('\n         ')}\n`,
      );
    }
    process.stdout.write(
      `${asOriginal} of ${answers.length} requests are answered as the original answered them; ${refused} otherwise, as docs/compatibility.md says; ${wrong.length} differ\n`,
    );
  }
  return wrong.length === 0 && answers.length > 0 ? 0 : 1;
}

process.exit(await main());
