import { execFileSync } from 'node:child_process';
import { cpus, totalmem, type } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };

/** One measured figure. `p50` and `p99` are for n samples; `value` is for a figure that is one number. */
export interface Result {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly n: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly value: number | null;
  /** The goal of the figure in words, and whether it is met; absent where there is none. */
  readonly goal?: string;
  readonly met?: boolean;
  /** What SQLite alone reaches for the same work on this machine, in the same unit; absent where nothing compares. */
  readonly limit?: number;
  /** Why there is no figure, or what it leaves out. */
  readonly note?: string;
}

/** The output of `npm run bench -- NAME --json`. */
export interface BenchReport {
  readonly name: string;
  readonly machine: { cpu: string; cores: number; memoryGb: number; os: string; load: string };
  readonly versions: Record<string, string>;
  readonly results: Result[];
}

/** Makes a figure from many samples. */
export function distribution(name: string, metric: string, unit: string, samples: readonly number[]): Result {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    case: name,
    metric,
    unit,
    n: sorted.length,
    p50: round(quantile(sorted, 0.5)),
    p99: round(quantile(sorted, 0.99)),
    value: null,
  };
}

/** Makes a figure that is one number. */
export function single(name: string, metric: string, unit: string, value: number, n = 1): Result {
  return { case: name, metric, unit, n, p50: null, p99: null, value: round(value) };
}

/** Returns the nearest-rank quantile of sorted samples. */
export function quantile(sorted: readonly number[], q: number): number {
  const rank = Math.max(1, Math.ceil(q * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Returns the machine and the versions, without which a figure means nothing. */
export function surroundings(tools: Record<string, string>): Pick<BenchReport, 'machine' | 'versions'> {
  const [cpu] = cpus();
  return {
    machine: {
      cpu: cpu?.model ?? 'unknown',
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      os: type(),
      load: execFileSync('uptime', { encoding: 'utf8' })
        .replace(/.*load average: /s, '')
        .trim(),
    },
    versions: {
      membridge: packageJson.version,
      node: process.version,
      temporalSdk: packageJson.dependencies['@temporalio/worker'],
      betterSqlite3: packageJson.dependencies['better-sqlite3'],
      ...tools,
    },
  };
}

/** Formats a result as one line for people: the figure, and its goal where there is one. */
export function lineOf(result: Result): string {
  const name = `${result.case}: ${result.metric}`;
  if (result.n === 0) return `${name}: not measured: ${result.note ?? 'no samples'}`;
  const figure = result.value === null ? `p50 ${result.p50}  p99 ${result.p99}` : String(result.value);
  const goal =
    result.goal === undefined ? '' : `  goal ${result.goal}: ${result.met === true ? 'met' : 'MISSED'}`;
  const limit =
    result.limit === undefined || result.value === null
      ? ''
      : `  limit ${result.limit} (${Math.round((result.value / result.limit) * 100)} %)`;
  return `${name}: ${figure} ${result.unit} (n=${result.n})${goal}${limit}`;
}
