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

/** The name of a JSON type, with `?` where null will do; any other value is compared as it is. */
type Expected =
  'string' | 'string?' | 'number' | 'number?' | 'boolean' | 'array' | 'object' | 'object?' | Exact;
interface Exact {
  readonly is: unknown;
}

/** One request of a client of the original, what the original answered, and what the client read from it. */
export interface OriginalRequest {
  readonly client: OriginalClient;
  /** Completes "the client …". Unique. */
  readonly does: string;
  readonly method: string;
  /** With `{name}` for what an earlier answer gave, or the suite knows. Such names also stand in bodies. */
  readonly path: string;
  /** The key that the client has; none unless given. */
  readonly key?: 'admin' | 'runtime' | 'agent' | 'shared';
  /** Who answers: the control plane unless given. */
  readonly at?: 'agent' | 'gated agent' | 'dry agent';
  readonly body?: unknown;
  /** Headers that the client sends besides its key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The original's status. */
  readonly status: number;
  /**
   * What the client reads: dotted paths, where `0` is the first of a list and `name=x` the one whose name is x, or none for the whole
   * body. A path that begins with `!` must not be there; `#` is the length of a list.
   */
  readonly reads?: Readonly<Record<string, Expected>>;
  /** What the answer says of the request that it did not use, in the header X-Membridge-Ignored. */
  readonly ignored?: string;
  /** What later requests need: a name for what is at a path. */
  readonly saves?: Readonly<Record<string, string>>;
  /** A path that is asked until its fields are as wanted before this request: what another machine does takes its time. */
  readonly after?: { readonly path: string; readonly reads: Readonly<Record<string, Expected>> };
  /** The row of docs/compatibility.md that says why it is answered otherwise, and how. */
  readonly differs?: { readonly row: string; readonly status: number };
}

/** Puts what is known in place of `{name}`. @throws Error naming what nobody has given yet */
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

/** What is at a dotted path of a body; undefined where nothing is. */
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

/** Each way in which an answer is not the original's; none when it is. */
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

/** Fields of one thing, as they stand in an element of a list. */
export const inList = (
  element: string,
  fields: Readonly<Record<string, Expected>>,
): Record<string, Expected> =>
  Object.fromEntries(Object.entries(fields).map(([field, expected]) => [`${element}.${field}`, expected]));
