import { z } from 'zod';

/** The parts of a repository's address. */
export interface GitUrl {
  readonly protocol: 'https' | 'http' | 'ssh';
  /** The user before the `@`; null without one. Never a password. */
  readonly user: string | null;
  /** In lower case, without brackets. */
  readonly host: string;
  readonly port: number | null;
  /** Without leading and trailing slashes and without `.git`. */
  readonly path: string;
}

/** A host as a name or an address. It must not begin with `-`, which ssh would read as an option (CVE-2017-1000117). */
const HOST = /^(?!-)[A-Za-z0-9._-]{1,253}$|^[0-9a-fA-F:]{2,45}$/;
const USER = /^(?!-)[A-Za-z0-9._+-]{1,64}$/;

/**
 * Splits the address of a repository into its parts: `https://`, `http://`, `ssh://`, or `user@host:path` as git and
 * ssh read it.
 * @throws Error saying what is wrong and what would be right; it never repeats a secret from the address
 */
export function parseGitUrl(text: string): GitUrl {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) throw new Error('must not contain spaces or control characters');
  // Checked before a parser resolves it. An encoded ".." would reach the server.
  if (/(?:^|[/:])\.\.(?:\/|$)|%2e|%2f/i.test(text)) throw new Error('must not contain ".."');
  // Parsers disagree on a backslash in a URL: the host that one parser allows may differ from the host that another
  // one contacts.
  if (text.includes('\\')) throw new Error('must not contain a backslash');
  if (text.startsWith('-')) throw new Error('must not start with "-"');
  const scp = /^([^/@:]+)@(\[[^\]]+\]|[^/:@]+):(?!\/\/)(.+)$/.exec(text);
  if (scp !== null && !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return checkUrl({
      protocol: 'ssh',
      user: scp[1] ?? null,
      host: scp[2] ?? '',
      port: null,
      path: scp[3] ?? '',
    });
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== 'https' && scheme !== 'http' && scheme !== 'ssh') {
    throw new Error('must be https://host/path, ssh://user@host/path or user@host:path');
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw new Error('is not a valid URL');
  if (url.password !== '') throw new Error(SECRET_IN_URL);
  if (scheme !== 'ssh' && url.username !== '') throw new Error(SECRET_IN_URL);
  // The host is read from the text as written, because git and curl read it from there, not from a parser's result.
  const authority = text.slice(text.indexOf('//') + 2).split('/')[0] ?? '';
  const plain = scheme === 'ssh' ? authority.replace(/^[^@]*@/, '') : authority;
  if (!/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(plain)) {
    throw new Error('has no valid host name');
  }
  if (url.search !== '' || url.hash !== '') throw new Error('must not have a query or a fragment');
  return checkUrl({
    protocol: scheme,
    user: url.username === '' ? null : url.username,
    host: url.hostname,
    port: url.port === '' ? null : Number(url.port),
    path: url.pathname,
  });
}

const SECRET_IN_URL =
  'must not carry a user name, password or token: it would be stored and shown. Give the address without it, and set it as the project’s credential (kind "token")';

function checkUrl(url: GitUrl): GitUrl {
  const host = url.host.replace(/^\[|\]$/g, '').toLowerCase();
  if (!HOST.test(host)) throw new Error('has no valid host name');
  if (url.user !== null && !USER.test(url.user)) throw new Error('has a user name that ssh does not accept');
  const path = url.path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  if (path === '') throw new Error('names no repository on the host');
  if (path.startsWith('-'))
    throw new Error('has a path that starts with "-", which git would read as an option');
  return { ...url, host, path };
}

/** The default ports, which an address may leave out. */
const USUAL_PORTS = { https: 443, http: 80, ssh: 22 } as const;

/**
 * Returns whether two addresses mean the same repository: same host and path, whatever the protocol, the user or a
 * final `.git`. So a clone made by ssh is recognized when the project names it by https. The default port may be
 * written out. Letter case does not count: the known forges do not distinguish `Owner/App` from `owner/app`.
 */
export function isSameRepository(a: string, b: string): boolean {
  try {
    const [one, other] = [parseGitUrl(a), parseGitUrl(b)];
    const port = ({ protocol, port: given }: GitUrl): number => given ?? USUAL_PORTS[protocol];
    const samePort = one.protocol !== other.protocol || port(one) === port(other);
    return one.host === other.host && comparable(one.path) === comparable(other.path) && samePort;
  } catch {
    return a === b;
  }
}

function comparable(path: string): string {
  const plain = /%(?![0-9a-f]{2})/i.test(path) ? path : decodeURIComponent(path);
  return plain.normalize('NFC').toLowerCase();
}

/** Returns whether a list allows a host; `*.example.org` covers every name below, and an empty list allows all. */
export function isAllowedHost(host: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  return allowed.some((entry) =>
    entry.startsWith('*.') ? host.endsWith(entry.slice(1).toLowerCase()) : host === entry.toLowerCase(),
  );
}

/** A repository's address as the API accepts it. */
export const RepoUrl = z
  .string()
  .min(1)
  .max(1_024)
  .superRefine((text, context) => {
    try {
      parseGitUrl(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  });

/** Returns the origin that a secret is valid for: protocol, host and port. A change of any of them invalidates it. */
export function originOf(repoUrl: string): string {
  const { protocol, host, port } = parseGitUrl(repoUrl);
  return `${protocol}://${host}:${port ?? USUAL_PORTS[protocol]}`;
}
