import { sql } from 'drizzle-orm';
import type { z } from 'zod';
import type { PartHealth, RuntimeHealth } from '../../contract/http/api.ts';
import { errorMessage } from '../../contract/errors.ts';
import type { Database } from '../../db/connect.ts';
import { openObjectStore } from '../../storage/object-store.ts';
import type { Engine, SearchAttributes } from '../../engine/connect.ts';
import type { Config } from '../config.ts';
import { describeConnection } from '../remote/describe-connection.ts';
import type { RemoteClient } from '../remote/client.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { VERSION } from '../version.ts';

/** Checks the parts that the control plane depends on; never throws. */
export interface HealthCheck {
  check(): Promise<RuntimeHealth>;
  close(): void;
}

/** How long one part may take to answer, in milliseconds. */
const PART_DEADLINE_MS = 2_000;
/** How long an answer is reused, in milliseconds, so that health checks cause no load. */
const CACHE_MS = 2_000;

type Part = z.infer<typeof PartHealth>;

/** Makes the health check of a control plane. */
export function createHealthCheck(deps: {
  config: Config;
  db: Database;
  engine: Engine;
  /** Whether Temporal added the search attributes at start. */
  attributes: SearchAttributes;
  remote: RemoteClient;
  now: () => number;
}): HealthCheck {
  const { config, db, engine, attributes, remote, now } = deps;
  const store = openObjectStore(config.store, { deadlineMs: PART_DEADLINE_MS });
  let cached: { at: number; answer: Promise<Omit<RuntimeHealth, 'membridge'>> } | null = null;

  const without =
    attributes.absent === null ? '' : `, without the search attributes ${attributes.absent.names.join(', ')}`;

  const look = async (): Promise<Omit<RuntimeHealth, 'membridge'>> => {
    const parts = await Promise.all([
      checkPart('postgresql', 'answers', () => db.run((executor) => executor.execute(sql`select 1`))),
      checkPart('temporal', `answers at ${engine.address.address}${without}`, () =>
        callEngine(engine, (client) => client.workflowService.getSystemInfo({}), PART_DEADLINE_MS),
      ),
      checkPart('object-store', `answers at ${config.store.endpoint}`, () => store.list('membridge-health/')),
    ]);
    return {
      status: parts.every((part) => part.ok) ? 'ok' : 'degraded',
      service: 'bloom-runtime',
      version: VERSION,
      uptime: Math.round(process.uptime()),
      storage: 'postgresql',
      now: now(),
      temporal_ui: config.temporalUi,
      parts,
    };
  };
  return {
    check: async () => {
      if (cached === null || Date.now() - cached.at > CACHE_MS) cached = { at: Date.now(), answer: look() };
      return { ...(await cached.answer), now: now(), membridge: describeConnection({ config, remote, now }) };
    },
    close: () => store.close(),
  };
}

async function checkPart(name: Part['name'], good: string, ask: () => Promise<unknown>): Promise<Part> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${PART_DEADLINE_MS / 1_000} s`)),
      PART_DEADLINE_MS,
    );
  });
  const took = (): number => Math.round(performance.now() - started);
  try {
    await Promise.race([ask(), deadline]);
    return { name, ok: true, detail: good, ms: took() };
  } catch (error) {
    return { name, ok: false, detail: errorMessage(error), ms: took() };
  } finally {
    clearTimeout(timer);
  }
}
