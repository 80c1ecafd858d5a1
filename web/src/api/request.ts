import { z } from 'zod';
import { withBasePath } from './base-path.ts';
import { parseTolerantly } from './parse.ts';
import { ApiProblem, toApiProblem } from './problem.ts';

interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls the API at the page's own origin, with the session cookie.
 * @param path the path with its query, as at the root of a host
 * @param schema the contract's form of the answer
 * @returns the parsed answer
 * @throws ApiProblem when there is no answer, the answer is an error, or it does not fit the contract
 */
export async function request<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  options: RequestOptions = {},
): Promise<z.output<Schema>> {
  return parseAnswer(path, schema, (await exchange(path, options)).answer);
}

/** A page of a list, and where the next one starts. */
export interface Page<Row> {
  readonly rows: Row[];
  /** Null at the end. */
  readonly next: string | null;
}

/**
 * Does the same for a list that comes in pages.
 * @throws ApiProblem as `request` does
 */
export async function requestPage<Schema extends z.ZodType>(
  path: string,
  row: Schema,
  options: RequestOptions = {},
): Promise<Page<z.output<Schema>>> {
  const { answer, headers } = await exchange(path, options);
  return { rows: parseAnswer(path, z.array(row), answer), next: headers.get('X-Next-Cursor') };
}

/**
 * Does the same for a call whose answer is not needed.
 * @throws ApiProblem as `request` does
 */
export async function send(path: string, options: RequestOptions = {}): Promise<unknown> {
  return (await exchange(path, options)).answer;
}

function parseAnswer<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  answer: unknown,
): z.output<Schema> {
  const result = parseTolerantly(schema, answer);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? '';
  const detail = `The answer of ${path} does not fit this page (at "${where}"). Reload: the page may be older than the server.`;
  throw new ApiProblem({ status: 200, code: 'unexpected_answer', detail });
}

async function exchange(
  path: string,
  options: RequestOptions,
): Promise<{ answer: unknown; headers: Headers }> {
  const { method = 'GET', body, signal } = options;
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  const init: RequestInit = { method, credentials: 'same-origin', headers };
  if (signal !== undefined) init.signal = signal;
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  const response = await fetch(withBasePath(path), init).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    const detail = navigator.onLine
      ? 'Membridge does not answer. Check that it is running and that this machine can reach it.'
      : 'This browser is offline. Nothing was sent; try again when it is connected.';
    throw new ApiProblem({ status: 0, code: 'unreachable', detail });
  });
  const text = await response.text();
  const answer = parseJson(text);
  if (!response.ok) throw toApiProblem(response.status, answer);
  return { answer, headers: response.headers };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
