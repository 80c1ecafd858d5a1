import { pino } from 'pino';
import { expect, inject, test } from 'vitest';
import { freePort } from '../../stack/ports.ts';
import { openCutLine } from '../../test/support/cut-line.ts';
import { freshDatabase, planeEnvironment } from '../../test/support/control-plane.ts';
import { freshNamespace } from '../../test/support/namespace.ts';
import { parseConfig } from '../config.ts';
import { startControlPlane } from '../control-plane.ts';

test('answers what it waits for until every part that it needs is available', async () => {
  const parts = inject('parts');
  const database = await freshDatabase(parts.databaseUrl);
  const port = await freePort();
  const late = await openCutLine(new URL(database.url).host);
  late.cut();
  const lateDatabase = new URL(database.url);
  lateDatabase.host = late.address;
  const config = parseConfig({
    ...planeEnvironment(lateDatabase.href, parts),
    TEMPORAL_NAMESPACE: await freshNamespace(parts.temporal.address),
    MEMBRIDGE_PORT: String(port),
  });
  const url = `http://127.0.0.1:${port}`;
  const starting = startControlPlane(config, pino({ level: 'silent' }));
  await expect.poll(async () => (await fetch(`${url}/health`)).status, { timeout: 30_000 }).toBe(503);
  await expect
    .poll(async () => await (await fetch(`${url}/health`)).json(), { timeout: 30_000 })
    .toMatchObject({
      status: 'starting',
      service: 'membridge-control-plane',
      waits_for: 'PostgreSQL (DATABASE_URL)',
      reason: expect.stringMatching(/\w/) as string,
    });
  const health = await fetch(`${url}/api/runtime/health`);
  expect([health.status, health.headers.get('Retry-After')]).toEqual([503, '2']);
  expect(await health.json()).toMatchObject({
    code: 'starting',
    detail: expect.stringContaining('waits for PostgreSQL (DATABASE_URL)') as string,
  });
  const page = await fetch(url, { headers: { Accept: 'text/html' } });
  expect([page.status, page.headers.get('Refresh')]).toEqual([503, '2']);
  expect(await page.text()).toContain('PostgreSQL (DATABASE_URL)');

  late.mend();
  const plane = await starting;
  try {
    const answer = await fetch(`${url}/health`);
    expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'ok' }]);
  } finally {
    await plane.stop();
    late.stop();
    await database.drop();
  }
});
