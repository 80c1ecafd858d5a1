import { createPrivateKey } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../api/config.ts';
import { readAgentConfig } from '../agent/config.ts';
import { dynamicConfig } from '../stack/temporal.ts';
import { parserNames } from './parser-names.ts';

/** Checks docker-compose.yml as far as that is possible without a Docker engine. Nothing here starts a container. */
const root = dirname(import.meta.dirname);
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Service {
  image: string;
  build?: { context: string; dockerfile: string };
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: Array<string | { source: string }>;
  healthcheck?: { test: string[] };
  'x-no-health-check'?: string;
  depends_on?: Record<string, { condition: string }>;
  command?: string[];
}
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const services = Object.entries(compose.services);
const builds = services.flatMap(([, { build }]) => (build ? [join(build.context, build.dockerfile)] : []));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-compose-'));
  mkdirSync(join(folder, 'deploy'));
  for (const file of ['.env.example', 'deploy/make-env.sh']) cpSync(join(root, file), join(folder, file));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function makeEnv(): string {
  return execFileSync(join(folder, 'deploy', 'make-env.sh'), { encoding: 'utf8' });
}

/** Inserts the values of an env file where compose would; supports only the two forms that the file uses. */
function interpolate(text: string, env: NodeJS.Dict<string>): string {
  return text.replace(/\$\{(\w+):([?-])([^}]*)\}/g, (_all, name: string, kind: string, rest: string) => {
    const value = env[name];
    if (value) return value;
    if (kind === '?') throw new Error(`${name} ${rest}`);
    return rest;
  });
}

function environmentOf(name: string, env: NodeJS.Dict<string>): Record<string, string> {
  const entries = Object.entries(compose.services[name]?.environment ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, interpolate(value, env)]));
}

test.each(services)('pins the image of %s, with a health check or the reason for none', (_name, service) => {
  expect(service.image).toMatch(service.build ? /^membridge-\w+:\w+$/ : /:\d+\.\d+(\.\d+)?$/);
  if (service.healthcheck) expect(service.healthcheck.test[0]).toBe('CMD');
  else expect(service['x-no-health-check']).toMatch(/\w+; \w+/);
});

test.each([...new Set(builds)])('builds %s from pinned images', (file) => {
  const images = [...read(file).matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  expect(images.length).toBeGreaterThan(0);
  for (const image of images) expect(image).toMatch(/^\w+:\d+\.\d+/);
});

test('uses in the images the Node and the MinIO of stack/', () => {
  const { optionalDependencies } = JSON.parse(read('stack/node24/package.json')) as {
    optionalDependencies: Record<string, string>;
  };
  const [node, ...others] = new Set(Object.values(optionalDependencies));
  expect(others).toEqual([]);
  for (const file of ['deploy/api.Dockerfile', 'deploy/agent.Dockerfile'])
    expect(read(file)).toContain(`FROM node:${node}-`);
  const [module] = /github\.com\/minio\/minio@\S+(?=')/.exec(read('stack/tools.ts')) ?? [];
  expect(module).toBeDefined();
  expect(read('deploy/minio.Dockerfile')).toContain(module);
  const [golang] = /golang:[\d.]+/.exec(read('stack/build-tool.ts')) ?? [];
  expect(read('deploy/minio.Dockerfile')).toContain(`FROM ${golang} AS build`);
});

test('needs no development dependency in the images, which leave them out', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const imports = read(file).matchAll(/^(?:import|export) (?!type )(?:[^'"]*? from )?'([^']+)'/gm);
    for (const [, name = ''] of imports) {
      if (/\.(ts|mjs)$/.test(name)) visit(join(dirname(file), name));
      else if (!name.startsWith('.') && !name.startsWith('node:'))
        packages.add(/^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name);
    }
  };
  for (const file of ['api/main.ts', 'agent/main.ts', 'agent/memory/memory-thread.ts', 'deploy/enrol.ts'])
    visit(file);
  expect(seen.size).toBeGreaterThan(60);
  expect(packages.size).toBeGreaterThan(10);
  expect([...packages].filter((name) => !(name in dependencies))).toEqual([]);
});

test('finds everything that a service waits for, mounts or runs', () => {
  for (const [name, service] of services) {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const awaited = compose.services[other];
      expect(awaited, `${name} waits for ${other}`).toBeDefined();
      // A service without a health check would be waited for forever.
      if (condition === 'service_healthy') expect(awaited?.healthcheck, other).toBeDefined();
    }
    for (const volume of service.volumes ?? []) {
      const source = typeof volume === 'string' ? volume.split(':')[0]! : volume.source;
      if (source.startsWith('./')) expect(existsSync(join(root, source)), source).toBe(true);
      else if (!source.startsWith('$')) expect(Object.keys(compose.volumes)).toContain(source);
    }
    for (const word of [...(service.command ?? []), ...(service.healthcheck?.test ?? [])]) {
      if (word.startsWith('deploy/')) expect(existsSync(join(root, word)), word).toBe(true);
      if (word.startsWith('/membridge/'))
        expect(existsSync(join(root, 'deploy', 'temporal', word.slice(11))), word).toBe(true);
    }
  }
});

test('publishes ports only on 127.0.0.1, unless .env says otherwise', () => {
  const ports = services.flatMap(([, service]) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(2);
  for (const port of ports) expect(interpolate(port, {})).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
});

test("uses the stack's dynamic configuration of Temporal", () => {
  const file = parse(read('deploy/temporal/dynamicconfig.yaml')) as Record<string, Array<{ value: unknown }>>;
  const settings = Object.entries(file).map(([key, [only]]) => `${key}=${JSON.stringify(only?.value)}`);
  expect(settings.toSorted()).toEqual(dynamicConfig.toSorted());
});

test('runs the minor version of Temporal that the tests run', () => {
  const built = /server@v(\d+\.\d+)\./.exec(read('stack/tools.ts'))?.[1];
  const images = services
    .map(([, { image }]) => image ?? '')
    .filter((image) => /server|admin-tools/.test(image));
  expect(images).toHaveLength(3);
  for (const image of images) expect(image).toContain(`:${built}.`);
});

test('names the command without .env, and accepts every setting of make-env.sh’s .env', () => {
  expect(() => environmentOf('api', {})).toThrow(/not set\. Run deploy\/make-env\.sh/);
  makeEnv();
  const env = parseEnv(readFileSync(join(folder, '.env'), 'utf8'));
  const api = environmentOf('api', env);
  expect(Object.keys(api).filter((name) => !parserNames('api').includes(name))).toEqual([]);
  expect(parseConfig(api)).toMatchObject({
    databaseUrl: `postgresql://membridge_runtime:${env['POSTGRES_RUNTIME_PASSWORD']}@postgres:5432/membridge`,
    databaseOwnerUrl: `postgresql://membridge:${env['POSTGRES_PASSWORD']}@postgres:5432/membridge`,
    agents: { temporalAddress: 'temporal:7233', storeEndpoint: 'http://minio:9000' },
    host: '0.0.0.0',
    port: 8_000,
  });
  const agent = environmentOf('agent', env);
  expect(Object.keys(agent).filter((name) => !parserNames('agent').includes(name))).toEqual([]);
  expect(readAgentConfig(agent)).toMatchObject({
    dataDir: '/data',
    databasePath: '/claude-mem/claude-mem.db',
    serverUrl: 'http://api:8000',
  });
  // The agent's own container never sees the API key.
  expect(agent).not.toHaveProperty('RUNTIME_API_KEY');
  const { RUNTIME_API_KEY, ...enrolment } = environmentOf('agent-enrolment', env);
  expect(RUNTIME_API_KEY).toBe(env['RUNTIME_API_KEY']);
  expect(readAgentConfig(enrolment).dataDir).toBe('/data');
});

test('makes random keys once with make-env.sh, in a file for its owner only, and keeps existing ones', () => {
  const file = join(folder, '.env');
  writeFileSync(file, '# mine\nRUNTIME_API_KEY=chosen\nMEMBRIDGE_PORT=9999\nMINIO_SECRET_KEY=\n', {
    mode: 0o644,
  });
  expect(makeEnv()).not.toMatch(/RUNTIME_API_KEY/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(
    /^# mine\nRUNTIME_API_KEY=chosen\nMEMBRIDGE_PORT=9999\nMINIO_SECRET_KEY=[0-9a-f]{64}\n/,
  );
  const env = parseEnv(text);
  for (const name of ['POSTGRES_PASSWORD', 'MEMBRIDGE_ADMIN_KEY'])
    expect(env[name]).toMatch(/^[0-9a-f]{64}$/);
  const der = Buffer.from(env['MEMBRIDGE_SIGNING_KEY'] ?? '', 'base64');
  expect(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).asymmetricKeyType).toBe('ed25519');
  expect(makeEnv()).toMatch(/nothing changed/);
  expect(readFileSync(file, 'utf8')).toBe(text);
});

test.each([
  ['', {}, '$HOME/.claude-mem'],
  ['\uFEFF{"CLAUDE_MEM_DATA_DIR": "~/memory/"}', {}, '$HOME/memory'],
  ['{"env":\n{"CLAUDE_MEM_DATA_DIR":"/srv/memory"}}', {}, '/srv/memory'],
  ['{"CLAUDE_MEM_DATA_DIR":"/srv/memory"}', { CLAUDE_MEM_DATA_DIR: '~/x' }, '$HOME/x'],
])(
  'mounts with make-env.sh the folder that claude-mem uses: settings %j, environment %j',
  (text, env, expected) => {
    const home = join(folder, 'home');
    mkdirSync(join(home, '.claude-mem'), { recursive: true });
    if (text !== '') writeFileSync(join(home, '.claude-mem', 'settings.json'), text);
    const PATH = process.env['PATH'] ?? '';
    execFileSync(join(folder, 'deploy', 'make-env.sh'), { env: { PATH, HOME: home, ...env } });
    const made = parseEnv(readFileSync(join(folder, '.env'), 'utf8'));
    expect(made['CLAUDE_MEM_DIR']).toBe(expected.replace('$HOME', home));
  },
);
