import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { MadeCertificate } from '../stack/tls/x509.ts';
import { newAuthority, newCertificate, serveTls } from '../test/support/tls.ts';
import { ask } from './requests.ts';
import { serverAt, type Server } from './server.ts';
import { explainConnection } from './tls-problem.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Serves a certificate, and collects the requests that arrive. */
async function serve(pair: MadeCertificate) {
  const requests: IncomingMessage[] = [];
  const server = await serveTls(pair, (request, response) => {
    requests.push(request);
    // A kept connection would not show a new certificate.
    response.setHeader('Connection', 'close').end('{"ok":true}');
  });
  stops.push(() => server.stop());
  return { ...server, requests };
}

const KEY = { 'X-MEMBRIDGE-AGENT': 'the key of a node' };

/** Returns the answer's status, or why there was none. */
async function answerOf(server: Server): Promise<number | string> {
  try {
    return (await ask(server, '/path', { headers: KEY, body: { a: 1 }, timeoutMs: 20_000 })).status;
  } catch (error) {
    return explainConnection(error, server);
  }
}

describe('a pinned connection', () => {
  test('reaches a server whose authority has the pinned key, and sends the body and headers', async () => {
    const authority = await newAuthority();
    const { url, requests } = await serve(await newCertificate(authority));
    expect(await answerOf(serverAt(url, { pin: authority.pin }))).toBe(200);
    expect(requests[0]?.headers['x-membridge-agent']).toBe('the key of a node');
  });

  test('sends nothing to a server of another authority, and names both keys', async () => {
    const [mine, other] = [await newAuthority(), await newAuthority()];
    const { url, requests } = await serve(await newCertificate(other));
    const said = await answerOf(serverAt(url, { pin: mine.pin }));
    expect(said).toContain(mine.pin);
    expect(said).toContain(other.pin);
    expect(said).toContain('MEMBRIDGE_SERVER_PIN');
    expect(requests).toEqual([]);
  });

  test('refuses a server that another authority took over, also after good answers', async () => {
    const [mine, other] = [await newAuthority(), await newAuthority()];
    const server = await serve(await newCertificate(mine));
    const pinned = serverAt(server.url, { pin: mine.pin });
    expect(await answerOf(pinned)).toBe(200);
    server.use(await newCertificate(other));
    expect(await answerOf(pinned)).toContain(other.pin);
    expect(server.requests).toHaveLength(1);
  });

  test('accepts a new certificate of the same authority, and a new certificate of the authority itself', async () => {
    const authority = await newAuthority();
    const server = await serve(await newCertificate(authority));
    const pinned = serverAt(server.url, { pin: authority.pin });
    expect(await answerOf(pinned)).toBe(200);
    server.use(await newCertificate(authority));
    expect(await answerOf(pinned)).toBe(200);
    server.use(await newCertificate(await newAuthority(authority.key)));
    expect(await answerOf(pinned)).toBe(200);
  });

  test('refuses a certificate for another name', async () => {
    const authority = await newAuthority();
    const { url, requests } = await serve(
      await newCertificate(authority, { names: ['10.9.8.7', 'other.example'] }),
    );
    expect(await answerOf(serverAt(url, { pin: authority.pin }))).toContain(
      'its certificate is for other names',
    );
    expect(requests).toEqual([]);
  });

  test('refuses an expired certificate', async () => {
    const authority = await newAuthority();
    const { url, requests } = await serve(await newCertificate(authority, { days: -1 }));
    expect(await answerOf(serverAt(url, { pin: authority.pin }))).toContain('its certificate has expired');
    expect(requests).toEqual([]);
  });

  test('refuses a chain that shows the pinned certificate without being signed by it', async () => {
    const [mine, other] = [await newAuthority(), await newAuthority()];
    // The thief has the authority's public certificate, of course, but not its key.
    const forged = await newCertificate({ ...mine, key: other.key });
    const { url, requests } = await serve(forged);
    expect(await answerOf(serverAt(url, { pin: mine.pin }))).toContain('was not signed by the authority');
    expect(requests).toEqual([]);
  });

  test('refuses a pin of the server in place of its authority, and says which pin it needs', async () => {
    const pair = await newCertificate(await newAuthority());
    const { url } = await serve(pair);
    const { pin } = await newAuthority(pair.key);
    expect(await answerOf(serverAt(url, { pin }))).toContain('which is not a certificate authority');
  });
});

describe('a connection without a pin', () => {
  test('refuses a private authority, and says how to trust it', async () => {
    const { url, requests } = await serve(await newCertificate(await newAuthority()));
    expect(await answerOf(serverAt(url))).toContain('set MEMBRIDGE_SERVER_PIN here to the pin');
    expect(requests).toEqual([]);
  });

  test('says that a server of plain HTTP does not speak HTTPS', async () => {
    const plain = createServer((_request, response) => response.end());
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    stops.push(() => plain.close());
    const { port } = plain.address() as AddressInfo;
    expect(await answerOf(serverAt(`https://127.0.0.1:${port}`))).toContain(
      'it does not speak HTTPS at this port',
    );
  });

  test('says that a server of HTTPS closed a connection of plain HTTP', async () => {
    const { url } = await serve(await newCertificate(await newAuthority()));
    const said = await answerOf(serverAt(url.replace('https:', 'http:')));
    expect(said).toContain('set MEMBRIDGE_SERVER_URL to its https:// address');
  });
});

describe('the address of a server', () => {
  test.each(['http://10.0.0.1:8000', 'http://server.example/membridge', 'http://[fd00::1]:8000'])(
    'is refused for plain HTTP to another machine: %s',
    (url) => {
      expect(() => serverAt(url)).toThrow('nothing was sent');
      expect(() => serverAt(url)).toThrow('MEMBRIDGE_ALLOW_PLAIN_HTTP=1');
      expect(serverAt(url, { allowsPlainHttp: true }).url).toBe(url);
    },
  );

  test.each(['http://127.0.0.1:8000', 'http://localhost:8000', 'http://[::1]:8000', 'https://10.0.0.1:8000'])(
    'may be %s',
    (url) => {
      expect(serverAt(url).url).toBe(url);
    },
  );

  test('is refused for plain HTTP with a pin, even where plain HTTP is allowed', () => {
    const trust = { pin: `sha256//${'A'.repeat(43)}=`, allowsPlainHttp: true };
    expect(() => serverAt('http://10.0.0.1:8000', trust)).toThrow('needs HTTPS');
  });
});
