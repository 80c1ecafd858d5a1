/**
 * Clones one project as an agent would, for tests that kill it during the work. Argument 1 is a spec and two folders,
 * as JSON.
 */
import { z } from 'zod';
import { CloneSpec } from '../../contract/projects/projects.ts';
import { cloneRepository } from '../../git/clone.ts';
import { NO_CREDENTIAL } from '../../git/context.ts';

const Input = z.object({ spec: CloneSpec, base: z.string(), work: z.string() });
const { spec, base, work } = Input.parse(JSON.parse(process.argv[2] ?? ''));

await cloneRepository(spec, {
  reposBase: base,
  workDir: work,
  credential: NO_CREDENTIAL,
  signal: new AbortController().signal,
  timeoutMs: 60_000,
  progress: () => undefined,
});
