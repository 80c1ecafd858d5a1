import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);

/**
 * Returns the environment names that a process parses, read from the schema in its config.ts. The tests of this
 * folder compare them with the installer, compose and docs/settings.md.
 * @throws Error when the schema is not where it was
 */
export function parserNames(process: 'api' | 'agent'): string[] {
  return [...parserDefaults(process).keys()];
}

/** Returns the same names with their defaults as text, or null where the schema has none. */
export function parserDefaults(process: 'api' | 'agent'): Map<string, string | null> {
  const source = readFileSync(join(root, process, 'config.ts'), 'utf8');
  const [schema] = /^const Environment = z\.object\(\{$.*?^\}\);$/ms.exec(source) ?? [];
  if (schema === undefined) throw new Error(`${process}/config.ts has no schema named Environment`);
  const lines = [...schema.matchAll(/^ {2}([A-Z_]+): (.*),$/gm)];
  return new Map(
    lines.map(([, name = '', rule = '']) => {
      const given =
        /^withDefault\(.*, '([^']*)'\)/.exec(rule) ?? /\.default\('?([^')]*)'?\)$/.exec(rule) ?? [];
      return [name, given[1]?.replaceAll('_', '') ?? (rule === 'flag' ? '0' : null)];
    }),
  );
}
