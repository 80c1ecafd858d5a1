/** Temporal's development server on loopback, with a database file and the settings measured in docs/architecture.md. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SEARCH_ATTRIBUTES, TEMPORAL_PAGE } from '../contract/names.ts';
import { withoutPrefix } from './environment.ts';
import { freePort, requireFreePort, requireListener } from './ports.ts';
import { startService, type Service } from './service.ts';
import { findTool } from './tools.ts';

export interface TemporalOptions {
  dataDir: string;
  /** The port on 127.0.0.1; 0 picks a free one. */
  port: number;
  /** The port of its web page on 127.0.0.1. 0 puts the page on a loopback address and port that nobody can guess. */
  uiPort: number;
  /** The port of its Prometheus metrics; 0 or absent lets Temporal choose. */
  metricsPort?: number;
  log: (line: string) => void;
  /** Further settings of its dynamic configuration, each `key=value`. */
  settings?: readonly string[];
  /** The server program; found, or built, by default. */
  program?: string;
}

export interface Temporal extends Service {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly uiUrl: string;
  readonly port: number;
  readonly uiPort: number;
}

const pragmas = ['journal_mode=wal', 'synchronous=normal'];

/** Each `key=value`. deploy/temporal/dynamicconfig.yaml has the same settings for Docker; a test compares them. */
export const dynamicConfig = [
  // The default, 20, is a tick of 50 ms for every hop.
  'history.transferProcessorMaxPollRPS=1000',
  // Priority and fairness keys on task queues; exact order needs one partition.
  'matching.useNewMatcher=true',
  'matching.enableFairness=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  // Open long polls in each namespace. An agent holds some five: the default of 1,200 is enough for 240 agents.
  'frontend.namespaceCount=20000',
  // Lets the server report which workers are alive.
  'frontend.WorkerHeartbeatsEnabled=true',
  'frontend.ListWorkersEnabled=true',
  // Temporal's HTTP API has no login either, and nothing here uses it: no Host is allowed.
  'frontend.httpAllowedHosts=["nobody.invalid"]',
];

/**
 * Starts Temporal and its web page on 127.0.0.1, with its state in `<dataDir>/temporal/`.
 * @throws when a port is taken (naming the setting), or it does not start (quoting its log)
 */
export async function startTemporal(options: TemporalOptions): Promise<Temporal> {
  const { dataDir, metricsPort = 0, settings = [], log } = options;
  const port = options.port || (await freePort());
  const uiIp = options.uiPort === 0 ? hiddenLoopback() : '127.0.0.1';
  const uiPort = options.uiPort || (await freePort());
  const file = options.program ?? (await findTool('temporal', log));
  const folder = join(dataDir, 'temporal');
  const address = `127.0.0.1:${port}`;
  const flags: Array<[name: string, value: string | number]> = [
    ['--ip', '127.0.0.1'],
    ['--port', port],
    ['--ui-ip', uiIp],
    ['--ui-port', uiPort],
    ['--ui-public-path', TEMPORAL_PAGE],
    ['--db-filename', join(folder, 'temporal.db')],
    ['--log-level', 'warn'],
    ...pragmas.map((pragma): [string, string] => ['--sqlite-pragma', pragma]),
    ...[...dynamicConfig, ...settings].map((setting): [string, string] => [
      '--dynamic-config-value',
      setting,
    ]),
    ...SEARCH_ATTRIBUTES.map((name): [string, string] => ['--search-attribute', `${name}=Keyword`]),
  ];
  if (metricsPort) flags.push(['--metrics-port', metricsPort]);
  const args = [
    'server',
    'start-dev',
    '--disable-config-file',
    '--disable-config-env',
    ...flags.flat().map(String),
  ];
  return startService(
    {
      name: 'temporal',
      dataDir,
      prepare: async () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        await requireFreePort(port, 'Temporal', 'MEMBRIDGE_TEMPORAL_PORT');
        await requireFreePort(uiPort, "Temporal's web page", 'MEMBRIDGE_TEMPORAL_UI_PORT');
        if (metricsPort)
          await requireFreePort(metricsPort, "Temporal's metrics", 'MEMBRIDGE_TEMPORAL_METRICS_PORT');
      },
      command: () => ({
        file,
        args,
        env: withoutPrefix(process.env, 'TEMPORAL_'),
      }),
      probe: () => probeTemporal(address, 'default'),
    },
    { address, uiUrl: `http://${uiIp}:${uiPort}`, port, uiPort },
  );
}

/**
 * Returns a random loopback address. Temporal's page has no login and checks no Host. A website that makes a browser
 * here search for it would have to try 16 million addresses. Only Linux has all of them.
 */
function hiddenLoopback(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return `127.${a}.${b}.${(c % 254) + 1}`;
}

/**
 * Tries once to reach a namespace.
 * @param seconds how long the server may take to accept the connection
 * @throws when the server does not answer in time, or has no such namespace
 */
export async function probeTemporal(address: string, namespace: string, seconds = 1): Promise<void> {
  // gRPC waits a second after a refused connection; a check before costs nothing.
  await requireListener(address, seconds);
  const { Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address, connectTimeout: seconds * 1_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } finally {
    await connection.close();
  }
}
