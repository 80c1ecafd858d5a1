/** `npm run demo`: three machines whose memories merge, on real parts, on this machine. */
import { mkdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tryLock } from '../stack/lock.mjs';
import { elapsed } from '../stack/machine.mjs';
import { killRecorded } from '../stack/processes.ts';
import { removeStackData } from '../stack/stack.ts';
import { keepRemembering } from './live.ts';
import { makeDemoTasks } from './tasks.ts';
import { runDemo, type Report } from './run.ts';

const USAGE = `npm run demo [-- --once] [-- --once --json]
  starts PostgreSQL, MinIO, Temporal, the control plane, the page and three agents, and merges their memories
  --once   stop when all three agree; exit 0 when nothing was lost or doubled, else 1
  --json   with --once: one JSON object on stdout, everything else on stderr`;

const began = Date.now();
const log = (line: string): void => {
  process.stderr.write(`[${elapsed(began).padStart(6)}] ${line}\n`);
};

function table(report: Report): string {
  const header = ['machine', 'memories before', 'after', 'sent', 'fetched', 'sync time', 'canonical hash'];
  const kb = (bytes: number): string => `${Math.ceil(bytes / 1_024).toLocaleString('en')} KB`;
  const rows = report.nodes.map((node) => [
    node.id,
    node.rowsBefore.toLocaleString('en'),
    node.rowsAfter.toLocaleString('en'),
    kb(node.bytesUp),
    kb(node.bytesDown),
    `${(node.ms / 1_000).toFixed(1)} s`,
    node.canonicalHash.slice(0, 12),
  ]);
  const widths = header.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)));
  const line = (cells: string[]): string =>
    `  ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join('   ')}`.trimEnd();
  return [line(header), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n');
}

function verdict(report: Report): string {
  if (report.ok) return 'All three hold the same memories: nothing lost, nothing doubled.';
  return `NOT in step: ${report.lost} lost, ${report.duplicated} doubled, converged: ${report.converged}.`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help || (values.json && !values.once)) {
    process.stderr.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const base = resolve(root, process.env['MEMBRIDGE_DATA_DIR'] || '.membridge');
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const lock = tryLock(join(base, 'demo.lock'));
  if ('heldBy' in lock)
    throw new Error(`A demo runs already on ${base} (process ${lock.heldBy}). Stop that one first.`);

  const dataDir = join(realpathSync(base), 'demo');
  const stopAsked = new AbortController();
  const undo: (() => Promise<void> | void)[] = [];
  let signals = 0;
  let lastSignalAt = 0;
  const onSignal = (): void => {
    // One Ctrl-C may arrive twice: from the terminal and through npm.
    if (Date.now() - lastSignalAt < 500) return;
    lastSignalAt = Date.now();
    signals += 1;
    if (signals > 1) {
      killRecorded(dataDir);
      process.exit(130);
    }
    log('stopping ... (Ctrl-C again kills)');
    stopAsked.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);

  try {
    // Each demo starts from nothing; processes that a killed demo left are ended first.
    killRecorded(dataDir);
    removeStackData(dataDir);
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const running = runDemo({ root, dataDir, env: process.env, log, undo });
    const stopped = new Promise<null>((settle) => {
      stopAsked.signal.addEventListener('abort', () => settle(null));
    });
    const demo = await Promise.race([running, stopped]);
    if (demo === null) {
      await running.catch(() => undefined);
      return 130;
    }
    const { report, machines, control, temporalUi } = demo;
    if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else process.stdout.write(`\n${table(report)}\n\n  ${verdict(report)}\n\n`);
    if (values.once) return report.ok ? 0 : 1;
    await makeDemoTasks(control);

    process.stdout.write(`  Open the page        ${report.url}\n`);
    process.stdout.write(`  Temporal's own page  ${temporalUi}\n`);
    process.stdout.write(`  Ctrl-C stops everything. A new memory is written every few seconds:\n\n`);
    await keepRemembering(machines, log, stopAsked.signal);
    return 0;
  } finally {
    for (const end of undo.toReversed()) {
      await Promise.resolve(end()).catch((error: unknown) =>
        log(error instanceof Error ? error.message : String(error)),
      );
    }
    lock.release();
  }
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
