import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A TCP line to a server that a test can cut. */
export interface CutLine {
  /** host:port of this end. */
  readonly address: string;
  /** How many connections were opened so far. */
  readonly opened: number;
  /** Breaks every connection, and accepts none until it is restored. */
  cut(): void;
  /** Stops the traffic of open connections without closing them; new connections work. */
  silence(): void;
  mend(): void;
  /** Leads new connections to another server, as a moved address does. @param target host:port */
  turnTo(target: string): void;
  stop(): void;
}

/** Opens a line to a server on TCP. @param target host:port */
export async function openCutLine(target: string): Promise<CutLine> {
  let to = new URL(`tcp://${target}`);
  const open = new Set<Socket>();
  let isCut = false;
  let opened = 0;
  const server = createServer((near) => {
    opened += 1;
    if (isCut) return void near.destroy();
    const far = connect(Number(to.port), to.hostname);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(end);
      end.on('error', () => end.destroy());
      end.on('close', () => {
        open.delete(end);
        other.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get opened() {
      return opened;
    },
    cut,
    silence: () => {
      for (const socket of open) socket.unpipe().pause();
    },
    mend: () => {
      isCut = false;
    },
    turnTo: (target) => {
      to = new URL(`tcp://${target}`);
    },
    stop: () => {
      cut();
      server.close();
    },
  };
}
