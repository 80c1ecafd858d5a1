/**
 * `probe.mjs <what> [argument]`: answers questions of the installer and of health checks, with an exit code and one
 * line. Plain JavaScript on node: modules only, for Node 18 or later, because it runs before anything is installed.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** How long an answer may take, in milliseconds. */
const DEADLINE_MS = 8_000;

const questions = {
  /** Checks that a control plane or an agent serves at a URL. */
  health: async (url) => await health(url, ['membridge-control-plane', 'membridge-agent']),
  /** Checks that a control plane serves at a URL. */
  server: async (url) => await health(url, ['membridge-control-plane']),
  /** Checks that node_modules holds what the lock file says; the stamp is stack/bootstrap.mjs's. */
  dependencies: async () => {
    const stamp = join(root, 'node_modules', '.membridge-stamp');
    const wanted = createHash('sha256')
      .update(readFileSync(join(root, 'package-lock.json'), 'utf8'))
      .digest('hex');
    return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted ? undefined : 'not installed';
  },
};

/** @returns {Promise<string | undefined>} what is wrong, or nothing */
async function health(url, services) {
  let response;
  try {
    response = await fetch(`${url.replace(/\/+$/, '')}/health`, { signal: AbortSignal.timeout(DEADLINE_MS) });
  } catch (error) {
    return `${url} does not answer: ${error.cause?.message || error.cause?.code || error.message}`;
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok && services.includes(body.service)) return undefined;
  return `${url} answers ${response.status}, but not as ${services.join(' or ')}`;
}

const [what, argument] = process.argv.slice(2);
const problem = await questions[what](argument);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
// Otherwise open keep-alive connections would hold the process for a moment.
process.exit(0);
