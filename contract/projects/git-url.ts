import { z } from 'zod';

/** A repository's address, taken apart. */
export interface GitUrl {
  readonly protocol: 'https' | 'http' | 'ssh';
  /** The user before the `@`, null without one. Never a password. */
  readonly user: string | null;
  /** In lower case, without brackets. */
  readonly host: string;
  readonly port: number | null;
  /** Without leading and trailing slashes and without `.git`. */
  readonly path: string;
}

/** A host as a name or an address; it must not begin with `-`, which ssh would take for an option (CVE-2017-1000117). */
const HOST = /^(?!-)[A-Za-z0-9._-]{1,253}$|^[0-9a-fA-F:]{2,45}$/;
const USER = /^(?!-)[A-Za-z0-9._+-]{1,64}$/;

/**
 * Takes the address of a repository apart: `https://`, `http://`, `ssh://`, or `user@host:path` as git and ssh know it.
 * @throws Error saying what is wrong and what would be right; it never repeats a secret that was in the address
 */
export function parseGitUrl(text: string): GitUrl {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) throw new Error('must not contain spaces or control characters');
  // Before any parser resolves it; encoded, it would reach the server.
  if (/(?:^|[/:])\.\.(?:\/|$)|%2e|%2f/i.test(text)) throw new Error('must not contain ".."');
  // Parsers do not agree on what it means in a URL, and a host that one of them allows is not what another one asks.
  if (text.includes('\\')) throw new Error('must not contain a backslash');
  if (text.startsWith('-')) throw new Error('must not start with "-"');
  const scp = /^([^/@:]+)@(\[[^\]]+\]|[^/:@]+):(?!\/\/)(.+)$/.exec(text);
  if (scp !== null && !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return checked({
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
  // As it was written, for the same reason: git and curl read the host from this text, not from what a parser made of it.
  const authority = text.slice(text.indexOf('//') + 2).split('/')[0] ?? '';
  const plain = scheme === 'ssh' ? authority.replace(/^[^@]*@/, '') : authority;
  if (!/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(plain)) {
    throw new Error('has no valid host name');
  }
  if (url.search !== '' || url.hash !== '') throw new Error('must not have a query or a fragment');
  return checked({
    protocol: scheme,
    user: url.username === '' ? null : url.username,
    host: url.hostname,
    port: url.port === '' ? null : Number(url.port),
    path: url.pathname,
  });
}

const SECRET_IN_URL =
  'must not carry a user name, password or token: it would be stored and shown. Give the address without it, and set it as the project’s credential (kind "token")';

function checked(url: GitUrl): GitUrl {
  const host = url.host.replace(/^\[|\]$/g, '').toLowerCase();
  if (!HOST.test(host)) throw new Error('has no valid host name');
  if (url.user !== null && !USER.test(url.user)) throw new Error('has a user name that ssh does not take');
  const path = url.path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  if (path === '') throw new Error('names no repository on the host');
  if (path.startsWith('-'))
    throw new Error('has a path that starts with "-", which git would take for an option');
  return { ...url, host, path };
}

/** The ports that stand for no port in an address. */
const USUAL_PORTS = { https: 443, http: 80, ssh: 22 } as const;

/**
 * Whether two addresses mean the same repository: host and path alike, whatever the protocol, the user and a `.git` at the end,
 * so that a clone made by ssh is known when the project names it by https. The usual port may be written out, and letter case does not
 * count: the known forges do not tell `Owner/App` from `owner/app`.
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

/** Whether a host is allowed by a list of names, where `*.example.org` stands for every name below; an empty list allows all. */
export function isAllowedHost(host: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  return allowed.some((entry) =>
    entry.startsWith('*.') ? host.endsWith(entry.slice(1).toLowerCase()) : host === entry.toLowerCase(),
  );
}

/** A repository's address as the API takes it. */
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

/** What a secret for a repository is good for: protocol, host and port, and nothing that differs in any of them. */
export function originOf(repoUrl: string): string {
  const { protocol, host, port } = parseGitUrl(repoUrl);
  return `${protocol}://${host}:${port ?? USUAL_PORTS[protocol]}`;
}
