/**
 * `probe.mjs <what> [argument]`: answers questions of the installer and of health checks, with an exit code and one
 * line. Plain JavaScript on node: modules only, for Node 18 or later, because it runs before anything is installed.
 */
import { X509Certificate, createHash } from 'node:crypto';
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
 * Sends a request without any key. With a pin, it only compares the keys that the server shows; before the agent sends a key, it
 * checks the certificates themselves.
 * @returns {Promise<{ status: number, text: string }>}
 */
async function get(url) {
  const pin = process.env.MEMBRIDGE_SERVER_PIN;
  const { request } = await import(url.protocol === 'https:' ? 'node:https' : 'node:http');
  const options = { signal: AbortSignal.timeout(DEADLINE_MS), rejectUnauthorized: !pin, agent: false };
  return await new Promise((resolve, reject) => {
    const outgoing = request(url, options, (answer) => {
      const shown = pin && answer.socket.getPeerCertificate ? pinsOf(answer.socket) : [pin];
      if (!shown.includes(pin)) {
        reject(
          new Error(`MEMBRIDGE_SERVER_PIN is ${pin}, and its certificates end at the key ${shown.at(-1)}`),
        );
      }
      let text = '';
      answer.setEncoding('utf8').on('data', (piece) => (text += piece));
      answer.once('error', reject).once('end', () => resolve({ status: answer.statusCode, text }));
    });
    outgoing.once('error', reject).end();
  });
}

/** @returns {string[]} the pins of the server's certificates, its own first */
function pinsOf(socket) {
  const pins = [];
  for (let each = socket.getPeerCertificate(true), last; each?.raw && each !== last;) {
    const key = new X509Certificate(each.raw).publicKey.export({ format: 'der', type: 'spki' });
    pins.push(`sha256//${createHash('sha256').update(key).digest('base64')}`);
    last = each;
    each = each.issuerCertificate;
  }
  return pins;
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
