import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { z } from 'zod';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { StoreAccess } from '../../contract/nodes/nodes.ts';

/** The settings of the original's `config.env` that Membridge uses. */
export interface LegacyConfig {
  readonly access: StoreAccess;
  /**
   * CLAUDE_PROJECT_ID, and the canonical id that the original derives from it; null when the file names none.
   */
  readonly projectId: string | null;
  readonly cid: string | null;
  /** CLAUDE_MEM_DB, null when the file names none. */
  readonly databasePath: string | null;
  /**
   * How long another host's push lock is valid, in seconds: LOCK_TTL_SECONDS plus STALE_LOCK_GRACE_SECONDS.
   */
  readonly lockSeconds: number;
  /** FORCE_PUSH=1: take another host's push lock. */
  readonly force: boolean;
}

/** Settings for which the original's hooks prefer the environment. */
const FROM_ENVIRONMENT = ['LOCK_TTL_SECONDS', 'STALE_LOCK_GRACE_SECONDS', 'FORCE_PUSH'] as const;

/** One assignment of the file: its value as bash would evaluate it, and its line number (from 1). */
export interface Assignment {
  readonly value: string;
  readonly line: number;
}

const seconds = (byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number of seconds')
    .transform(Number)
    .default(byDefault);
const needed = z.string({ error: 'is not set' }).min(1, 'is empty');

/** The names and defaults of `sqlite_minio_sync.py`. */
const Names = z.object({
  MINIO_ENDPOINT: needed.refine(isHttpUrl, 'must be a full URL, such as https://minio.example:9000'),
  MINIO_ACCESS_KEY: needed,
  MINIO_SECRET_KEY: needed,
  MINIO_BUCKET: needed,
  MINIO_REGION: z.string().min(1).default('us-east-1'),
  CLAUDE_PROJECT_ID: z.string().min(1).optional(),
  CLAUDE_MEM_DB: z.string().min(1).optional(),
  LOCK_TTL_SECONDS: seconds(7_200),
  STALE_LOCK_GRACE_SECONDS: seconds(60),
  // The original accepts only "1" for yes.
  FORCE_PUSH: z
    .string()
    .default('0')
    .transform((value) => value === '1'),
});

/**
 * Reads the original's `config.env` as text: runs nothing in it, and writes nothing.
 * @param home the value of `$HOME` and `~`
 * @param environment overrides the push lock settings of the file
 * @throws MembridgeError bad_request naming the file, the line and the key; never a value, because values are
 * secrets
 */
export function readConfigEnv(
  path: string,
  home: string = homedir(),
  environment: NodeJS.ProcessEnv = process.env,
): LegacyConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MembridgeError('bad_request', `${path} cannot be read: ${errorMessage(cause)}.`, { cause });
  }
  const assignments = parseConfigEnv(text, path, home);
  const values = new Map(Array.from(assignments, ([key, { value }]) => [key, value] as const));
  for (const name of FROM_ENVIRONMENT) {
    const value = environment[name];
    if (value !== undefined && value !== '') values.set(name, value);
  }
  // An empty value means that the setting is absent, as for the original's optional settings.
  const made = Object.fromEntries(
    [...values].filter(([key, value]) => value !== '' || key.startsWith('MINIO_')),
  );
  const parsed = Names.safeParse(made);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path: [key], message }) => {
      const line = assignments.get(String(key))?.line;
      return `${line === undefined ? '' : `line ${line}: `}${String(key)} ${message}`;
    });
    throw new MembridgeError('bad_request', `${path}: ${problems.join('; ')}.`);
  }
  const settings = parsed.data;
  const projectId = settings.CLAUDE_PROJECT_ID ?? null;
  return {
    access: {
      endpoint: settings.MINIO_ENDPOINT,
      region: settings.MINIO_REGION,
      bucket: settings.MINIO_BUCKET,
      access_key: settings.MINIO_ACCESS_KEY,
      secret_key: settings.MINIO_SECRET_KEY,
    },
    projectId,
    cid: projectId === null ? null : canonicalId(projectId),
    databasePath: settings.CLAUDE_MEM_DB ?? null,
    lockSeconds: settings.LOCK_TTL_SECONDS + settings.STALE_LOCK_GRACE_SECONDS,
    force: settings.FORCE_PUSH,
  };
}

/**
 * Parses the assignments of a file that bash would read with `source`: `KEY=VALUE`, `export`, quotes,
 * comments, `~`, `$HOME` and variables set earlier in the file. Refuses anything that bash would have to run.
 * @throws MembridgeError bad_request naming the file, the line and the key
 */
export function parseConfigEnv(
  text: string,
  path: string,
  home: string = homedir(),
): ReadonlyMap<string, Assignment> {
  const assignments = new Map<string, Assignment>();
  text.split(/\r?\n/).forEach((content, index) => {
    const trimmed = content.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const line = index + 1;
    const [, key, written] = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(trimmed) ?? [];
    if (key === undefined || written === undefined) {
      throw refusal(path, line, null, 'is not an assignment KEY=VALUE');
    }
    const lookUp = (name: string): string | undefined =>
      assignments.get(name)?.value ?? (name === 'HOME' ? home : undefined);
    const read = readValue(written, lookUp);
    if ('problem' in read) throw refusal(path, line, key, read.problem);
    assignments.set(key, { value: read.value, line });
  });
  return assignments;
}

type Read = { readonly value: string } | { readonly problem: string };

/** Reads a value as bash does: adjacent quoted and unquoted pieces, up to a blank. */
function readValue(written: string, lookUp: (name: string) => string | undefined): Read {
  let value = '';
  let rest = written;
  if (/^~(?=\/|\s|$)/.test(rest)) {
    value = lookUp('HOME') ?? '';
    rest = rest.slice(1);
  }
  let quoted = false;
  while (rest !== '') {
    const [first = ''] = rest;
    if (first === '"') {
      quoted = !quoted;
      rest = rest.slice(1);
    } else if (first === '\\') {
      const next = rest[1];
      if (next === undefined) return { problem: 'continues on the next line, which is not supported' };
      // Within double quotes a backslash is literal, unless it escapes a character that is special there.
      value += quoted && !'$`"\\'.includes(next) ? `\\${next}` : next;
      rest = rest.slice(2);
    } else if (first === '$') {
      const [whole, braced, bare] =
        /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/.exec(rest) ?? [];
      const name = braced ?? bare;
      if (whole === undefined || name === undefined) {
        return { problem: 'has a "$" that is not $NAME or ${NAME}: put the value in single quotes' };
      }
      const found = lookUp(name);
      if (found === undefined) return { problem: `uses $${name}, which is not set above it` };
      value += found;
      rest = rest.slice(whole.length);
    } else if (first === '`') {
      return { problem: 'has a command in it; nothing is run here' };
    } else if (quoted) {
      value += first;
      rest = rest.slice(1);
    } else if (first === "'") {
      const end = rest.indexOf("'", 1);
      if (end === -1) return { problem: 'has a quote that does not end in its line' };
      value += rest.slice(1, end);
      rest = rest.slice(end + 1);
    } else if (/\s/.test(first)) {
      if (/^\s+(#.*)?$/.test(rest)) return { value };
      return { problem: 'has a blank in it: put the value in quotes' };
    } else if (';&|<>()'.includes(first)) {
      return { problem: `has a "${first}" in it: put the value in single quotes` };
    } else {
      value += first;
      rest = rest.slice(1);
    }
  }
  return quoted ? { problem: 'has a quote that does not end in its line' } : { value };
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function refusal(path: string, line: number, key: string | null, problem: string): MembridgeError {
  const subject = key === null ? 'it' : key;
  return new MembridgeError(
    'bad_request',
    `${path}, line ${line}: ${subject} ${problem}. Membridge reads this file without running it.`,
  );
}
