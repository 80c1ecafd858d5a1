/** The environment of the programs that the stack starts. */

/** Returns an environment without names that start with one of the prefixes: they would change what the program does. */
export function withoutPrefix(env: NodeJS.ProcessEnv, ...prefixes: string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !prefixes.some((prefix) => name.startsWith(prefix))),
  );
}

/** The part of an environment that has one of the names. */
export function onlyNames(env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => names.includes(name)));
}
