import { readFileSync, readdirSync } from 'node:fs';
import type { Client } from 'pg';
import type { Running } from '../running.ts';

/** What the parts have used since their start. */
export interface Usage {
  /** Epoch ms. */
  readonly at: number;
  /** Processor time of each part, in milliseconds, and its resident memory, in MB. */
  readonly parts: Readonly<
    Record<'control plane' | 'Temporal' | 'PostgreSQL', { cpuMs: number; rssMb: number }>
  >;
  /** Transactions that PostgreSQL committed in our database; a statement alone is one. */
  readonly transactions: number;
  /** Requests that Temporal's frontend received. */
  readonly rpcs: number;
}

/** A tick of the processor time in /proc, in milliseconds. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

/** Reads what the parts have used. Linux only, because it reads /proc. */
export async function readUsage(running: Running, database: Client, metricsPort: number): Promise<Usage> {
  const { postgres, temporal } = running.stack.parts;
  const { rows } = await database.query<{ n: number }>(
    'select (xact_commit + xact_rollback)::float8 as n from pg_stat_database where datname = current_database()',
  );
  return {
    at: Date.now(),
    parts: {
      'control plane': usageOf(running.api.pid),
      Temporal: usageOf(temporal?.pid ?? 0),
      PostgreSQL: usageOf(postgres?.pid ?? 0),
    },
    transactions: rows[0]?.n ?? 0,
    rpcs: await requestsOf(metricsPort),
  };
}

/** Reads the usage of a process and its children: PostgreSQL has one for each connection. */
function usageOf(pid: number): { cpuMs: number; rssMb: number } {
  const own = statOf(pid);
  if (own === null) return { cpuMs: 0, rssMb: 0 };
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== null && stat.parent === pid);
  const all = [own, ...children].filter((stat) => stat !== null);
  // Children that ended are in their parent's own figure; shared memory would be counted once for each child.
  return {
    cpuMs: all.reduce((sum, { cpuMs }) => sum + cpuMs, own.endedMs),
    rssMb: Math.round(own.rssBytes / 1e6),
  };
}

function statOf(pid: number): { parent: number; cpuMs: number; endedMs: number; rssBytes: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name may hold spaces; the fields behind it begin with the third.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const field = (n: number): number => fields[n - 3] ?? 0;
    return {
      parent: field(4),
      cpuMs: (field(14) + field(15)) * TICK_MS,
      endedMs: (field(16) + field(17)) * TICK_MS,
      rssBytes: field(24) * PAGE_BYTES,
    };
  } catch {
    return null;
  }
}

/** Sums a counter of Temporal's metrics. */
async function requestsOf(metricsPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('service_requests{') && line.includes('service_name="frontend"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
