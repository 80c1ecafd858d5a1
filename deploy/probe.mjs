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

/**
 * Sends a request without any key. With a pin, the agent itself checks the certificate before it sends one.
 * @returns {Promise<{ status: number, text: string }>}
 */
async function get(url) {
  const { request } = await import(url.protocol === 'https:' ? 'node:https' : 'node:http');
  const rejectUnauthorized = !process.env.MEMBRIDGE_SERVER_PIN;
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { signal: AbortSignal.timeout(DEADLINE_MS), rejectUnauthorized },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece) => (text += piece));
        answer.once('error', reject).once('end', () => resolve({ status: answer.statusCode, text }));
      },
    );
    outgoing.once('error', reject).end();
  });
}

function serviceIn(text) {
  try {
    return JSON.parse(text).service;
  } catch {
    return undefined;
  }
}

/** @returns {Promise<string | undefined>} what is wrong, or nothing */
async function health(url, services) {
  let answer;
  try {
    answer = await get(new URL(`${url.replace(/\/+$/, '')}/health`));
  } catch (error) {
    return `${url} does not answer: ${error.message || error.code}`;
  }
  if (answer.status === 200 && services.includes(serviceIn(answer.text))) return undefined;
  return `${url} answers ${answer.status}, but not as ${services.join(' or ')}`;
}

const [what, argument] = process.argv.slice(2);
const problem = await questions[what](argument);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
// Otherwise open keep-alive connections would hold the process for a moment.
process.exit(0);
