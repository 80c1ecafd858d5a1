import type { Response } from 'express';
import type { z } from 'zod';
import type { Route } from './route.ts';

/** Names each thing of a request that was not used, as `body.model, query.page`. */
export const IGNORED_HEADER = 'X-Membridge-Ignored';

/** Names that the header holds at most, and characters of each. */
const MAX_NAMES = 20;
const MAX_NAME_CHARS = 64;

/** The routes of the original's runtime. As there, what it does not know in a body or query is dropped. */
const ORIGINAL_RUNTIME: ReadonlySet<string> = new Set([
  'get /api/runtime/config',
  'post /api/runtime/config',
  'post /api/runtime/test-connection',
  'get /api/runtime/workers',
  'post /api/runtime/workers',
  'get /api/runtime/workers/:id',
  'get /api/runtime/workers/:id/agent-health',
  'post /api/runtime/workers/:id/agent-update',
  'post /api/runtime/llm-tasks',
  'get /api/runtime/llm-tasks',
  'post /api/runtime/llm-tasks/:id/lease',
  'post /api/runtime/llm-tasks/:id/dispatch',
  'post /api/runtime/llm-tasks/:id/heartbeat',
  'post /api/runtime/llm-tasks/:id/complete',
  'get /api/runtime/leases',
  'get /api/runtime/runs',
  'get /api/runtime/artifacts',
  'get /api/runtime/audit',
  'post /api/runtime/projects',
  'post /api/runtime/projects/:id/clone',
  'post /api/runtime/projects/:id/propagate',
  'post /api/runtime/projects/:id/sync-memory',
  'post /api/membridge/projects/:cid/leadership/select',
]);

/** Whether a route drops what it does not know, as the original did. */
export function isTolerant({ method, path }: Pick<Route, 'method' | 'path'>): boolean {
  return ORIGINAL_RUNTIME.has(`${method} ${path}`);
}

/** Fields that a schema does not know, and a `limit` beyond its bounds: the original took both. */
type Repair = (value: Record<string, unknown>) => string[];

/**
 * Reads what a client of the original sent: drops fields that the schema does not know, and moves a `limit` into its bounds.
 * @param where "body" or "query"
 * @returns what the schema makes of the rest, and the names of what was dropped or moved
 */
export function parseTolerantly(
  where: string,
  schema: z.ZodType,
  given: unknown,
): { parsed: z.ZodSafeParseResult<unknown>; ignored: string[] } {
  const first = schema.safeParse(given);
  if (first.success || typeof given !== 'object' || given === null) return { parsed: first, ignored: [] };
  const repairs = first.error.issues.flatMap((issue) => repairOf(where, issue));
  if (repairs.length === 0) return { parsed: first, ignored: [] };
  const rest = structuredClone(given) as Record<string, unknown>;
  const ignored = repairs.flatMap((repair) => repair(rest));
  return { parsed: schema.safeParse(rest), ignored };
}

function repairOf(where: string, issue: z.core.$ZodIssue): Repair[] {
  if (issue.code === 'unrecognized_keys') {
    const { path, keys } = issue;
    return [
      (value) => {
        const holder = path.reduce<unknown>(
          (found, part) => (found as Record<PropertyKey, unknown>)[part],
          value,
        );
        for (const key of keys) Reflect.deleteProperty(holder as object, key);
        return keys.map((key) => [where, ...path.map(String), key].join('.'));
      },
    ];
  }
  if (where !== 'query' || issue.path.join('.') !== 'limit') return [];
  return [
    (value) => {
      if (issue.code === 'too_big') value['limit'] = String(issue.maximum);
      else if (issue.code === 'too_small') value['limit'] = String(issue.minimum);
      else delete value['limit'];
      return ['query.limit'];
    },
  ];
}

/** Says in an answer what of the request was not used. */
export function nameIgnored(response: Response, names: readonly string[]): void {
  if (names.length === 0) return;
  // A client chose these names, so what may not stand in a header is encoded.
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => encodeURIComponent(name.slice(0, MAX_NAME_CHARS).toWellFormed()));
  const more = names.length > MAX_NAMES ? [`and ${names.length - MAX_NAMES} more`] : [];
  response.set(IGNORED_HEADER, [...shown, ...more].join(', '));
}
