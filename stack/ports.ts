/** Ports on loopback: reads the wanted one, checks that it is free, or finds a free one. */
import { connect, createServer } from 'node:net';

/**
 * Returns the port for a part.
 * @param wanted the port from the options; 0 picks a free one
 * @param setting the environment variable that sets it, for the error message
 * @throws when the setting is no port number
 */
export async function choosePort(
  wanted: number | undefined,
  setting: string,
  env: NodeJS.ProcessEnv,
  standard: number,
): Promise<number> {
  if (wanted === 0) return freePort();
  if (wanted !== undefined) return wanted;
  const text = env[setting];
  if (text === undefined || text === '') return standard;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(
      `${setting} is "${text}"; it must be a port number from 1 to 65535, or 0 for any free one.`,
    );
  }
  return port === 0 ? freePort() : port;
}

/**
 * @throws when something already listens on the port, naming the setting that moves it
 */
export async function requireFreePort(port: number, what: string, setting: string): Promise<void> {
  if (await isFree(port)) return;
  throw new Error(
    `Port ${port} on 127.0.0.1, wanted by ${what}, is taken by another program. Stop that program, or set ${setting} to another port.`,
  );
}

/**
 * Returns a port on which nothing listens. It lies below the range for outgoing connections, so that a part that
 * stops for a moment finds its port free again.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isFree(port)) return port;
  }
  throw new Error('No free port was found between 15000 and 32000 on 127.0.0.1.');
}

/**
 * @param address `host:port`
 * @throws when nothing accepts a connection there within that many seconds
 */
export async function requireListener(address: string, seconds: number): Promise<void> {
  const { hostname, port } = new URL(`tcp://${address}`);
  await new Promise<void>((settle, fail) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: seconds * 1_000 });
    socket.once('connect', () => settle());
    socket.once('timeout', () => fail(new Error(`${address} did not answer within ${seconds} s`)));
    socket.once('error', fail);
    for (const event of ['connect', 'timeout', 'error']) socket.once(event, () => socket.destroy());
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => settle(true)));
  });
}
