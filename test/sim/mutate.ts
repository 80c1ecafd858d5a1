import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Mutation } from './mutations.ts';
import { makeRoot, runMany, type SimReport } from './run.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Runs histories on a deliberately broken engine until one fails.
 * @returns the run; an undetected mutation has no failures
 * @throws Error when the text to replace does not occur exactly once
 */
export async function runMutated(
  mutation: Mutation,
  options: { seed: number; histories: number },
): Promise<SimReport> {
  const tree = makeRoot();
  try {
    cpSync(join(ROOT, 'memory'), join(tree, 'memory'), { recursive: true });
    // What memory/ imports resolves to the very modules that the simulation uses: errors keep their class.
    for (const name of ['contract', 'storage', 'node_modules', 'package.json']) {
      symlinkSync(join(ROOT, name), join(tree, name));
    }
    for (const edit of mutation.also === undefined ? [mutation] : [mutation, mutation.also]) {
      const file = join(tree, 'memory', edit.file);
      const source = readFileSync(file, 'utf8');
      const places = source.split(edit.find).length - 1;
      if (places !== 1) {
        throw new Error(
          `memory/${edit.file} holds the text to break ${places} times, not once: "${edit.find}". Bring test/sim/mutations.ts up to date.`,
        );
      }
      // Not a pattern: a dollar sign in the new text stands for itself.
      writeFileSync(
        file,
        source.replace(edit.find, () => edit.replace),
      );
    }
    const engine = pathToFileURL(join(tree, 'memory', 'engine.ts')).href;
    return await runMany({ ...options, engine, untilFailure: true });
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
