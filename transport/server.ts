import { isLoopbackAddress } from '../contract/nodes/own-host.ts';

declare const checked: unique symbol;

/**
 * A control plane that this machine may send its keys to. Only `serverAt` makes one, so that nothing connects without its
 * rules. Plain data: a thread can receive it.
 */
export interface Server {
  /** http(s), perhaps with a path, without a final slash. */
  readonly url: string;
  /** The only key of a certificate authority that is trusted there; null: those that the system trusts. */
  readonly pin: string | null;
  readonly [checked]: true;
}

/** Whom to trust at an address. */
export interface Trust {
  /** A pin, see transport/pin.ts. */
  readonly pin?: string | null | undefined;
  /** Whether the owner of this machine says that the network is private (MEMBRIDGE_ALLOW_PLAIN_HTTP). */
  readonly allowsPlainHttp?: boolean;
}

/**
 * Returns a control plane at an address.
 * @throws Error when the address is plain HTTP to another machine, and the owner of this one did not allow that
 */
export function serverAt(url: string, { pin, allowsPlainHttp = false }: Trust = {}): Server {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'http:' && !isLoopbackAddress(hostname)) {
    if (pin != null) {
      throw new Error(
        `${url} is plain HTTP, but a pin is set (MEMBRIDGE_SERVER_PIN), which needs HTTPS. Set MEMBRIDGE_SERVER_URL to the server's https:// address, which the server prints at its start.`,
      );
    }
    if (!allowsPlainHttp) throw new Error(refuseText(url));
  }
  return { url: url.replace(/\/+$/, ''), pin: pin ?? null } as Server;
}

/** Returns what a person reads who uses plain HTTP beyond this machine. */
function refuseText(url: string): string {
  return (
    `${url} is plain HTTP to another machine. Everybody on the way could read this node's key, its tokens and every memory, so ` +
    'nothing was sent. Set MEMBRIDGE_SERVER_URL to an https:// address: on the server, "npm start -- --listen 0.0.0.0:8000" makes ' +
    'certificates and prints the command for this machine. Where the network between the two is private and encrypted ' +
    '(WireGuard, Tailscale), set MEMBRIDGE_ALLOW_PLAIN_HTTP=1 here instead. docs/add-a-machine.md explains both.'
  );
}
