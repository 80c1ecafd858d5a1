/**
 * Connections that trust one certificate authority, known by the pin of its key. The first connection sends nothing: it
 * only fetches the chain and takes from it the certificate with that key. Every further one lets OpenSSL check
 * the whole chain, the names and the dates against this certificate alone.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { isSelfSigned, pinOf } from './pin.ts';
import { isDistrust } from './tls-problem.ts';

/** How long a handshake may take, in milliseconds. */
const HANDSHAKE_MS = 20_000;
/** Chains are shorter; a longer one is not followed. */
const MAX_CHAIN = 10;

/** The certificate of each pinned authority in PEM, by pin, host and port. */
const anchors = new Map<string, string>();

/** Thrown when a server's certificates do not end at the pinned key. */
export class WrongPin extends Error {}

/** How Node takes a connection that opened later, or why there is none. */
type Handed = (error: unknown, socket?: TLSSocket) => void;

/** Opens connections for requests and WebSockets only to servers whose authority has the pinned key. */
export class PinnedAgent extends Agent {
  readonly #pin: string;

  constructor(pin: string, options: AgentOptions) {
    super(options);
    this.#pin = pin;
  }

  override createConnection(
    options: ConnectionOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    void this.#hand(options, callback as unknown as Handed);
  }

  /** Hands a connection over once its certificates are checked: only then does a request send anything. */
  async #hand(options: ConnectionOptions, handed: Handed): Promise<void> {
    let socket: TLSSocket;
    try {
      socket = await this.#open(options);
    } catch (error) {
      handed(error);
      return;
    }
    handed(null, socket);
  }

  async #open(options: ConnectionOptions): Promise<TLSSocket> {
    const place = `${this.#pin} ${options.host ?? ''}:${options.port ?? ''}`;
    const known = anchors.get(place);
    if (known !== undefined) {
      try {
        return await shakeHands({ ...options, ca: known });
      } catch (error) {
        // The authority may have a new certificate of the same key. If not, the next lines say what is wrong.
        if (!isDistrust(error)) throw error;
        anchors.delete(place);
      }
    }
    const anchor = await this.#fetchAnchor(options);
    const socket = await shakeHands({ ...options, ca: anchor });
    anchors.set(place, anchor);
    return socket;
  }

  /** @returns the pinned authority's certificate in PEM @throws WrongPin when the server shows none */
  async #fetchAnchor(options: ConnectionOptions): Promise<string> {
    // Nothing is sent on this connection, and nothing is read but the certificates.
    const socket = await shakeHands({ ...options, rejectUnauthorized: false });
    const chain = chainOf(socket);
    socket.destroy();
    const found = chain.find((each) => pinOf(each) === this.#pin);
    if (found === undefined) throw new WrongPin(describeOtherKey(chain, this.#pin));
    if (!isSelfSigned(found)) {
      throw new WrongPin(
        `the pin ${this.#pin} is the key of "${oneLine(found.subject)}", which is not a certificate authority at the end of the chain. ` +
          'Set MEMBRIDGE_SERVER_PIN to the pin of the authority, which the server prints at its start.',
      );
    }
    return found.toString();
  }
}

async function shakeHands(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ ...options, path: undefined, session: undefined });
  const deadline = AbortSignal.timeout(HANDSHAKE_MS);
  try {
    await once(socket, 'secureConnect', { signal: deadline });
    return socket;
  } catch (error) {
    socket.destroy();
    if (deadline.aborted)
      throw new Error(`no TLS handshake within ${HANDSHAKE_MS / 1_000} s`, { cause: error });
    throw error;
  }
}

/** Returns the server's certificates, its own first. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    // The last one names itself as its issuer.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

function describeOtherKey(chain: readonly X509Certificate[], pin: string): string {
  const last = chain.at(-1);
  const seen =
    last === undefined
      ? 'it showed no certificate'
      : `its certificates end at "${oneLine(last.subject)}" with the key ${pinOf(last)}`;
  return (
    `this machine trusts only the key ${pin} there (MEMBRIDGE_SERVER_PIN), and ${seen}. ` +
    'Either another machine answers in place of the server, or the server got a new certificate authority. Nothing was sent. ' +
    'Compare with the pin that the server prints at its start. If the server shows the new one, set MEMBRIDGE_SERVER_PIN here to it.'
  );
}

const oneLine = (text: string): string => text.replaceAll('\n', ', ');
