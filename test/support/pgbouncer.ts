import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireListener, freePort } from '../../stack/ports.ts';
import { startService, type Service } from '../../stack/service.ts';
import { findDebianProgram } from '../../stack/tools.ts';

/** Starts a PgBouncer in transaction mode. @returns the same database through it */
export async function startPgBouncer(databaseUrl: string): Promise<Service & { url: string }> {
  const program = findDebianProgram('pgbouncer', (line) => process.stderr.write(`${line}\n`));
  const dataDir = mkdtempSync(join(tmpdir(), 'membridge-pgbouncer-'));
  // It refuses to run as root, and the user that it becomes must read its files.
  chmodSync(dataDir, 0o755);
  const folder = join(dataDir, 'conf');
  mkdirSync(folder);
  const { hostname, port: serverPort, pathname, username, password } = new URL(databaseUrl);
  const name = pathname.slice(1);
  const port = await freePort();
  const users = join(folder, 'users.txt');
  writeFileSync(users, `"${username}" "${password}"\n`);
  const settings = join(folder, 'pgbouncer.ini');
  writeFileSync(
    settings,
    `[databases]
${name} = host=${hostname} port=${serverPort} dbname=${name} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = 20
`,
  );
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const service = await startService(
    {
      name: 'pgbouncer',
      dataDir,
      prepare: () => Promise.resolve(),
      command: () => ({ file: program, args: [...user, settings], env: {}, cwd: '/' }),
      probe: () => requireListener(`127.0.0.1:${port}`, 1),
    },
    {},
  );
  const through = new URL(databaseUrl);
  through.host = `127.0.0.1:${port}`;
  return {
    ...service,
    url: through.href,
    stop: async () => {
      await service.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
