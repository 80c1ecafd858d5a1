import type { Answer } from '../support/control-plane.ts';

/** Programs that people run against the original, in the order in which they are played. */
export type OriginalClient =
  | 'admin script'
  | 'control-plane page'
  | 'original agent'
  | 'runtime script'
  | 'web client'
  | 'HTTP worker'
  | 'hook'
  | 'agent script';

/** The name of a JSON type, with `?` where null is allowed; any other value is compared as it is. */
type Expected =
  'string' | 'string?' | 'number' | 'number?' | 'boolean' | 'array' | 'object' | 'object?' | Exact;
interface Exact {
  readonly is: unknown;
}

/** One request of a client of the original, the original's answer, and what the client read from it. */
export interface OriginalRequest {
  readonly client: OriginalClient;
  /** Completes "the client …". Unique. */
  readonly does: string;
  readonly method: string;
  /** With `{name}` for a value from an earlier answer, or from the suite. Bodies may hold such names too. */
  readonly path: string;
  /** The client's key; by default none. */
  readonly key?: 'admin' | 'runtime' | 'agent' | 'shared';
  /** The process that answers: by default the control plane. */
  readonly at?: 'agent' | 'gated agent' | 'dry agent';
  readonly body?: unknown;
  /** Further headers of the client. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The original's status. */
  readonly status: number;
  /**
   * The fields that the client reads, as dotted paths; an empty path is the whole body. `0` is the first element of a
   * list, and `name=x` the one whose name is x. A path that begins with `!` must be missing; `#` is the length of a
   * list.
   */
  readonly reads?: Readonly<Record<string, Expected>>;
  /** The parts of the request that were not used, by the header X-Membridge-Ignored. */
  readonly ignored?: string;
  /** Values for later requests: a name for what is at a path. */
  readonly saves?: Readonly<Record<string, string>>;
  /** A path that is polled until its fields are as expected before this request: another machine's work takes time. */
  readonly after?: { readonly path: string; readonly reads: Readonly<Record<string, Expected>> };
  /** The row of docs/compatibility.md that says how and why the answer differs. */
  readonly differs?: { readonly row: string; readonly status: number };
}

/** Replaces `{name}` by its value. @throws Error naming a value that no request has saved yet */
export function fill<T>(value: T, known: ReadonlyMap<string, string>): T {
  if (typeof value === 'string') {
    return value.replaceAll(/\{([a-z_]+)\}/g, (_all, name: string) => {
      const found = known.get(name);
      if (found === undefined) throw new Error(`nothing has given {${name}}: an earlier request failed`);
      return found;
    }) as T;
  }
  if (Array.isArray(value)) return value.map((each) => fill<unknown>(each, known)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, known)])) as T;
}

/** Returns what is at a dotted path of a body; undefined where nothing is. */
export function at(body: unknown, path: string): unknown {
  let found = body;
  for (const part of path === '' ? [] : path.split('.')) {
    if (part === '#') found = Array.isArray(found) ? found.length : undefined;
    else if (part.includes('=')) {
      const [name = '', value = ''] = part.split('=');
      found = Array.isArray(found)
        ? found.find((each: unknown) => String((each as Record<string, unknown>)[name]) === value)
        : undefined;
    } else found = (found as Record<string, unknown> | null | undefined)?.[part];
    if (found === undefined) return undefined;
  }
  return found;
}

/** Returns each difference from the original's answer. */
export function differences(
  answer: Pick<Answer, 'status' | 'body'>,
  request: Pick<OriginalRequest, 'status' | 'reads'>,
  known: ReadonlyMap<string, string>,
): string[] {
  if (answer.status !== request.status) {
    return [`${answer.status} instead of ${request.status}: ${JSON.stringify(answer.body).slice(0, 300)}`];
  }
  return Object.entries(request.reads ?? {}).flatMap(([path, expected]) => {
    const found = at(answer.body, fill(path.replace(/^!/, ''), known));
    if (path.startsWith('!')) return found === undefined ? [] : [`${path.slice(1)} is there`];
    return fits(found, fill(expected, known))
      ? []
      : [`${path} is ${JSON.stringify(found) ?? 'missing'}, not ${JSON.stringify(expected)}`];
  });
}

function fits(found: unknown, expected: Expected): boolean {
  if (typeof expected === 'object') return JSON.stringify(found) === JSON.stringify(expected.is);
  if (expected.endsWith('?') && found === null) return true;
  const type = expected.replace('?', '');
  if (type === 'array') return Array.isArray(found);
  if (type === 'object') return typeof found === 'object' && found !== null && !Array.isArray(found);
  return typeof found === type;
}

/** Returns the fields of one thing as an element of a list. */
export const inList = (
  element: string,
  fields: Readonly<Record<string, Expected>>,
): Record<string, Expected> =>
  Object.fromEntries(Object.entries(fields).map(([field, expected]) => [`${element}.${field}`, expected]));
