import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, createSecureContext } from 'node:tls';
import { sql } from 'drizzle-orm';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { openEventHub } from '../api/event-hub.ts';
import { freshDatabase, startTestPlane } from '../test/support/control-plane.ts';
import { makeCertificate } from '../test/support/certificate.ts';
import { openCutLine } from '../test/support/cut-line.ts';
import { startPgBouncer } from '../test/support/pgbouncer.ts';
import type { Service } from '../stack/service.ts';
import { connectDatabase, type Database } from './connect.ts';
import { migrateDatabase } from './migrate.ts';
import { emitEvents } from './queries/emit-events.ts';

const quiet = pino({ level: 'silent' });
const onIdleError = (): void => undefined;
let fresh: Awaited<ReturnType<typeof freshDatabase>>;
let bouncer: Service & { url: string };
beforeAll(async () => {
  fresh = await freshDatabase(inject('parts').databaseUrl);
  bouncer = await startPgBouncer(fresh.url);
});
afterAll(async () => {
  await bouncer?.stop();
  await fresh.drop();
});

const limitOf = async (db: Database): Promise<string | undefined> => {
  const shown = await db.run((executor) =>
    executor.execute<{ statement_timeout: string }>(sql`show statement_timeout`),
  );
  return shown.rows[0]?.statement_timeout;
};

describe('PgBouncer in transaction mode', () => {
  it('serves a whole control plane that uses a direct address for LISTEN', async () => {
    const test = await startTestPlane({
      databaseUrl: bouncer.url,
      env: { DATABASE_URL: bouncer.url, DATABASE_DIRECT_URL: fresh.url },
    });
    try {
      const heard: string[] = [];
      test.plane.deps.events.subscribe(({ event }) => heard.push(event.type));
      const made = await test.call('POST', '/api/membridge/spaces', { body: { name: 'pooled' } });
      expect(made.status).toBe(201);
      await expect.poll(() => heard, { timeout: 20_000 }).toContain('space');
    } finally {
      await test.stop();
    }
  });

  it('is refused for LISTEN, with the name of the setting', async () => {
    const env = { DATABASE_URL: bouncer.url };
    await expect(startTestPlane({ databaseUrl: bouncer.url, env })).rejects.toThrow(/DATABASE_DIRECT_URL/);
  });

  it('gets no time limit that would affect others, while PostgreSQL itself does', async () => {
    const pooled = connectDatabase(bouncer.url, { onIdleError });
    const direct = connectDatabase(fresh.url, { onIdleError });
    try {
      expect([await limitOf(pooled), await limitOf(direct)]).toEqual(['0', '15s']);
    } finally {
      await Promise.all([pooled.close(), direct.close()]);
    }
  });
});

it('reopens a listening connection whose peer vanished silently, and loses nothing', async () => {
  const own = await freshDatabase(inject('parts').databaseUrl);
  const db = connectDatabase(own.url, { onIdleError });
  await migrateDatabase(db);
  const line = await openCutLine(new URL(own.url).host);
  const url = new URL(own.url);
  url.host = line.address;
  const hub = await openEventHub(url.href, db, quiet, 100);
  try {
    const heard: number[] = [];
    hub.subscribe(({ seq }) => heard.push(seq));
    line.silence();
    await db.transaction((tx) => emitEvents(tx, [{ type: 'node-removed', id: 'x' }], 1));
    await expect.poll(() => heard.length, { timeout: 30_000 }).toBe(1);
  } finally {
    await hub.close();
    line.stop();
    await db.close();
    await own.drop();
  }
}, 60_000);

it('closes a connection to a server that has become read-only, and the next write reaches a writable one', async () => {
  const db = connectDatabase(fresh.url, { onIdleError, max: 1 });
  const write = () => db.transaction((tx) => tx.execute(sql`create table if not exists written (id int)`));
  try {
    // Like every connection to a former primary after a failover.
    await db.run((executor) => executor.execute(sql`set session characteristics as transaction read only`));
    await expect(write()).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('takes no writes') as string,
    });
    await write();
  } finally {
    await db.close();
  }
});

it('refuses a server whose certificate has an unknown CA, and says what to set', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'membridge-ca-'));
  const { key, certificate } = makeCertificate(folder);
  const secureContext = createSecureContext({ key: readFileSync(key), cert: readFileSync(certificate) });
  // Answers PostgreSQL's request for TLS as the server does, then presents its certificate.
  const server = createServer((socket: Socket) => {
    socket.once('data', () => {
      socket.write('S');
      new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => socket.destroy());
    });
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const db = connectDatabase(`postgresql://a:b@127.0.0.1:${port}/c?sslmode=require`, { onIdleError });
  try {
    await expect(db.run((executor) => executor.execute(sql`select 1`))).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringMatching(/does not trust.*sslrootcert=/) as string,
    });
  } finally {
    await db.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
