/**
 * The hosts that git may contact: a repository may name others in its submodules, and a server may redirect
 * to others.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, MembridgeError } from '../contract/errors.ts';
import { isAllowedHost, parseGitUrl } from '../contract/projects/git-url.ts';
import type { Git } from './git.ts';
import { withoutUserinfo } from './redact.ts';

/** Maximum number of consecutive redirects. */
const MAX_REDIRECTS = 10;

/**
 * Checks that an address may be contacted.
 * @param hosts the value of MEMBRIDGE_GIT_HOSTS; empty allows all
 * @throws MembridgeError clone_refused naming the host
 */
export function checkHost(address: string, hosts: readonly string[], what: string): void {
  if (hosts.length === 0) return;
  let host: string;
  try {
    host = parseGitUrl(/^[A-Za-z0-9.-]+:(?!\/\/)/.test(address) ? `git@${address}` : address).host;
  } catch (error) {
    throw refusedHost(`${what} ${withoutUserinfo(address)}, which ${errorMessage(error)}`);
  }
  if (!isAllowedHost(host, hosts))
    throw refusedHost(
      `${what} ${withoutUserinfo(address)}; ${host} is not among the hosts of MEMBRIDGE_GIT_HOSTS (${hosts.join(', ')})`,
    );
}

const refusedHost = (sentence: string): MembridgeError =>
  new MembridgeError('clone_refused', `${sentence}. Nothing was fetched from there.`);

/**
 * Does work with a git that follows redirects only to allowed hosts. By default git would follow the first
 * redirect anywhere.
 * @param hosts the value of MEMBRIDGE_GIT_HOSTS; empty allows all, and git follows redirects as it is set up
 * @param work may be called again, with a git that knows an address's target
 * @throws MembridgeError clone_refused for a host that is not allowed; git_failed for circular redirects;
 * errors of the work
 */
export async function withinHosts<T>(
  git: Git,
  hosts: readonly string[],
  work: (git: Git) => Promise<T>,
): Promise<T> {
  if (hosts.length === 0) return await work(git);
  const strict = git.with({}, ['-c', 'http.followRedirects=false']);
  let current = strict;
  const known = new Set<string>();
  for (;;) {
    try {
      return await work(current);
    } catch (error) {
      const from = findRedirect(error);
      if (from === null || known.has(from)) throw error;
      known.add(from);
      const to = await resolveAddress(strict, from, hosts);
      current = current.with({}, ['-c', `url.${to}.insteadOf=${from}`]);
    }
  }
}

/** Returns the address that git reported as redirected; null for any other failure. */
function findRedirect(error: unknown): string | null {
  if (!(error instanceof MembridgeError)) return null;
  const found = /unable to access '([^']+?)\/*': The requested URL returned error: 30[12378]\b/.exec(
    error.message,
  );
  return found?.[1] ?? null;
}

/**
 * Returns the final target of an address.
 * @throws MembridgeError clone_refused, git_failed
 */
async function resolveAddress(git: Git, address: string, hosts: readonly string[]): Promise<string> {
  let here = address;
  for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
    const next = await askRedirect(git, here);
    if (next === null) return here;
    checkHost(next, hosts, `The server of ${withoutUserinfo(here)} sends git to`);
    if (!/^https?:/i.test(next) || next.includes('='))
      throw refusedHost(`The server of ${withoutUserinfo(here)} sends git to ${withoutUserinfo(next)}`);
    here = next;
  }
  throw new MembridgeError(
    'git_failed',
    `The server of ${withoutUserinfo(address)} redirects git too often (more than ${MAX_REDIRECTS} times). Correct the project's address.`,
  );
}

/** Returns the redirect target that a server sends to git; null when there is none. */
async function askRedirect(git: Git, address: string): Promise<string | null> {
  const location = await answerHeader(git, address, 'location');
  if (location === null) return null;
  return new URL(location, `${address}/info/refs`).href.replace(/\/info\/refs(?:\?.*)?$/, '');
}

/** Returns a header of the server's answer to git; null when it is absent, and for SSH. */
async function answerHeader(git: Git, address: string, name: string): Promise<string | null> {
  const trace = join(git.aside, 'trace');
  const traced = git.in(git.aside).with({ GIT_TRACE_CURL: trace, GIT_TRACE_CURL_NO_DATA: '1' });
  try {
    await traced.tryNetwork(['ls-remote', '--heads', '--', address], { grows: git.aside });
    const text = await readFile(trace, 'utf8').catch(() => '');
    const answers = text.split(/Recv header: HTTP\//i);
    return new RegExp(`Recv header: ${name}: *(\\S+)`, 'i').exec(answers.at(-1) ?? '')?.[1] ?? null;
  } finally {
    await rm(trace, { force: true });
  }
}

/**
 * Checks that a repository without branches really is one: git takes an HTML page, such as a captive
 * portal's, for an empty repository.
 * @throws MembridgeError git_unreachable when the server answers with a page
 */
export async function refusePage(git: Git, address: string): Promise<void> {
  const type = await answerHeader(git, address, 'content-type');
  // Types of git's own server, and of one that serves plain files.
  if (type === null || /^(?:application\/x-git|text\/plain|application\/octet-stream)/i.test(type)) return;
  throw new MembridgeError(
    'git_unreachable',
    `The server of ${withoutUserinfo(address)} answers with something that is not git: a page (${type}). A proxy or the sign-in page of a network may stand in between; else correct the project's address.`,
  );
}
