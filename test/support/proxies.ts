import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireListener } from '../../stack/ports.ts';
import { startService, type Service } from '../../stack/service.ts';
import { findDebianProgram } from '../../stack/tools.ts';
import { makeCertificate } from './certificate.ts';

/** One address of a proxy, and where it forwards requests. */
export interface Site {
  readonly port: number;
  readonly https: boolean;
  /** The path below which it shows the control plane, or '' for the whole host. */
  readonly path: string;
  /** Whether it removes the path from forwarded requests. */
  readonly takesPathOff?: boolean;
  /** host:port of the control plane; for nginx also the name of an upstream. */
  readonly target: string;
}

/** Returns the address of a site as browsers reach it. */
export function siteUrl({ port, https, path }: Site): string {
  return `${https ? 'https' : 'http'}://localhost:${port}${path}`;
}

/** Starts an nginx with the lines of docs/install.md. @param extra further lines for all sites */
export async function startNginx(sites: readonly Site[], extra = ''): Promise<Service> {
  return await startProxy('nginx', sites, (folder, files) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(folder, name)};`,
    );
    const settings = join(folder, 'nginx.conf');
    // As root it would give up its rights, and with them the folder.
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    writeFileSync(
      settings,
      `daemon off; ${user} pid ${join(folder, 'nginx.pid')}; error_log stderr; events {}
http {
access_log off; ${temporary.join(' ')}
${extra}
${sites.map((site) => nginxSite(site, files)).join('\n')}
}
`,
    );
    return { args: ['-c', settings, '-p', folder, '-e', 'stderr'], env: {} };
  });
}

/** Starts a Caddy with the lines of docs/install.md. @param extra further lines for each site */
export async function startCaddy(sites: readonly Site[], extra = ''): Promise<Service> {
  return await startProxy('caddy', sites, (folder, files) => {
    const settings = join(folder, 'Caddyfile');
    writeFileSync(
      settings,
      `{\n\tadmin off\n\tauto_https off\n\tgrace_period 1s\n}\n${sites.map((site) => caddySite(site, files, extra)).join('\n')}`,
    );
    const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    return { args: ['run', '--adapter', 'caddyfile', '--config', settings], env };
  });
}

type Files = ReturnType<typeof makeCertificate>;

async function startProxy(
  name: 'nginx' | 'caddy',
  sites: readonly Site[],
  configure: (folder: string, files: Files) => { args: string[]; env: Record<string, string> },
): Promise<Service> {
  const program = findDebianProgram(name, (line) => process.stderr.write(`${line}\n`));
  const dataDir = mkdtempSync(join(tmpdir(), `membridge-${name}-`));
  const folder = join(dataDir, 'conf');
  mkdirSync(folder);
  const { args, env } = configure(folder, makeCertificate(folder));
  const service = await startService(
    {
      name,
      dataDir,
      command: () => ({ file: program, args, env, cwd: folder }),
      probe: async () => {
        for (const { port } of sites) await requireListener(`127.0.0.1:${port}`, 1);
      },
    },
    {},
  );
  return {
    ...service,
    stop: async () => {
      await service.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function nginxSite(site: Site, { key, certificate }: Files): string {
  const { port, https, path, takesPathOff = false, target } = site;
  const [server = '', location = ''] = documentedLines('nginx');
  const whole = path === '' ? server : server.replace(/ {4}location \/ \{[^}]*\}/, location.trimEnd());
  return withChanges(https ? whole : whole.replaceAll(/^ *ssl_.*\n/gm, ''), [
    ['listen 443 ssl http2;', `listen 127.0.0.1:${port}${https ? ' ssl http2' : ''};`],
    ['membridge.example', 'localhost'],
    ['http://127.0.0.1:8000;', `http://${target}${takesPathOff ? '/' : ''};`],
    ...(https
      ? ([
          ['/etc/ssl/membridge.crt', certificate],
          ['/etc/ssl/membridge.key', key],
        ] as const)
      : []),
    ...(path === '' ? [] : ([['location /membridge/', `location ${path}/`]] as const)),
  ]);
}

function caddySite(site: Site, { key, certificate }: Files, extra: string): string {
  const { port, https, path, takesPathOff = false, target } = site;
  const [server = '', handle = ''] = documentedLines('caddyfile');
  const whole = path === '' ? server : server.replace(/\treverse_proxy .*\n/, handle);
  const own = `\n\tbind 127.0.0.1\n\t${https ? `tls ${certificate} ${key}` : ''}\n\t${extra}`;
  return withChanges(whole, [
    ['https://membridge.example {', `${https ? 'https' : 'http'}://localhost:${port} {${own}`],
    ['127.0.0.1:8000', target],
    ...(path === ''
      ? []
      : ([
          ['redir /membridge /membridge/', `redir ${path} ${path}/`],
          ['handle /membridge/*', `${takesPathOff ? 'handle_path' : 'handle'} ${path}/*`],
        ] as const)),
  ]);
}

/** Returns the blocks of one language in docs/install.md: for a whole host, and for a sub-path. */
function documentedLines(language: string): string[] {
  const text = readFileSync(new URL('../../docs/install.md', import.meta.url), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^\`]*)^\`\`\``, 'gm'))].map(
    ([, lines = '']) => lines,
  );
}

/** Applies changes to documented lines. @throws Error naming what the docs no longer say */
function withChanges(lines: string, changes: readonly (readonly [string, string])[]): string {
  let changed = lines;
  for (const [from, to] of changes) {
    if (!changed.includes(from)) throw new Error(`docs/install.md no longer has "${from}" for a proxy.`);
    changed = changed.replaceAll(from, to);
  }
  return changed;
}
