import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compressFiles } from '../../stack/build-web.ts';
import { RUNTIME_KEY, startTestPlane, type TestPlane } from '../../test/support/control-plane.ts';

const SCRIPT = `export const text = ${JSON.stringify('a page of Membridge '.repeat(500))};\n`;
const webDir = mkdtempSync(join(tmpdir(), 'membridge-web-'));
let api: TestPlane;

beforeAll(async () => {
  mkdirSync(join(webDir, 'assets'));
  writeFileSync(join(webDir, 'index.html'), `<!doctype html>${'<p>page</p>'.repeat(500)}`);
  writeFileSync(join(webDir, 'assets', 'page-1a2b.js'), SCRIPT);
  await compressFiles(webDir);
  writeFileSync(join(webDir, 'assets', 'late-1a2b.js'), SCRIPT);
  api = await startTestPlane({ env: { MEMBRIDGE_WEB_DIR: webDir } });
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      api.call('POST', '/api/membridge/spaces', { body: { name: `space ${n}` } }),
    ),
  );
});
afterAll(async () => {
  await api.stop();
  rmSync(webDir, { recursive: true, force: true });
});

interface Raw {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** Requests a path without decompressing the answer, as fetch would. */
async function raw(path: string, encodings: string): Promise<Raw> {
  return await new Promise((resolve, reject) => {
    const headers = { 'Accept-Encoding': encodings, 'X-Runtime-API-Key': RUNTIME_KEY };
    get(`${api.plane.url}${path}`, { headers }, (answer) => {
      const { statusCode: status, headers } = answer;
      buffer(answer).then((bytes) => resolve({ status, headers, bytes }), reject);
    }).on('error', reject);
  });
}

describe('files of the page', () => {
  test.each([
    ['gzip, deflate, br', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['br;q=0, gzip', 'gzip', gunzipSync],
  ])('go to a browser that accepts "%s" as %s', async (encodings, encoding, decompress) => {
    const { headers, bytes } = await raw('/assets/page-1a2b.js', encodings);
    expect(headers).toMatchObject({
      'content-encoding': encoding,
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: expect.stringContaining('Accept-Encoding'),
    });
    expect(bytes.length).toBeLessThan(SCRIPT.length / 10);
    expect(String(decompress(bytes))).toBe(SCRIPT);
  });

  test('go uncompressed to a browser that accepts no encoding', async () => {
    const { headers, bytes } = await raw('/assets/page-1a2b.js', 'identity');
    expect(headers['content-encoding']).toBeUndefined();
    expect(String(bytes)).toBe(SCRIPT);
  });

  test('are compressed per request where the build left no compressed file', async () => {
    const { status, headers, bytes } = await raw('/assets/late-1a2b.js', 'br');
    expect({ status, encoding: headers['content-encoding'] }).toEqual({ status: 200, encoding: 'br' });
    expect(String(brotliDecompressSync(bytes))).toBe(SCRIPT);
  });

  test('answer 404 for a missing file instead of the page, and no cache keeps that answer', async () => {
    const { status, headers } = await raw('/assets/gone-1a2b.js', 'br');
    expect(status).toBe(404);
    expect(headers['content-type']).toMatch(/^text\/plain/);
    expect(headers['content-encoding']).toBeUndefined();
    expect(headers['cache-control']).toBe('no-store');
  });

  test('keep the page itself fresh', async () => {
    const { headers, bytes } = await raw('/membridge', 'br');
    expect(headers).toMatchObject({ 'cache-control': 'no-cache', 'content-encoding': 'br' });
    expect(String(brotliDecompressSync(bytes))).toContain('<p>page</p>');
  });
});

test('compresses answers of the API', async () => {
  const { headers, bytes } = await raw('/api/membridge/spaces', 'gzip');
  expect(headers['content-encoding']).toBe('gzip');
  expect(JSON.parse(String(gunzipSync(bytes)))).toHaveLength(20);
});

test('sends an event stream uncompressed, its first line immediately', async () => {
  const response = await fetch(`${api.plane.url}/api/events`, {
    headers: { 'Accept-Encoding': 'gzip, br', 'X-Runtime-API-Key': RUNTIME_KEY },
  });
  expect(response.headers.get('Content-Encoding')).toBeNull();
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toMatch(/^retry: /);
  await reader?.cancel();
});
