/** Where the control plane listens, how programs of this machine reach it, and what other machines must know. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';
import { isLoopbackAddress } from '../contract/nodes/own-host.ts';
import { isSelfSigned, pinOf } from '../transport/pin.ts';
import { serverAt, type Server } from '../transport/server.ts';
import { choosePort } from './ports.ts';
import { keepPrivateCertificate } from './tls/private-ca.ts';

const STANDARD_PORT = 8_000;

/** Where the control plane listens. */
export interface ApiAddress {
  readonly host: string;
  readonly port: number;
  /** Settings that the control plane gets for it. */
  readonly settings: Readonly<Record<string, string>>;
  /** How programs of this machine reach it. */
  readonly local: Server;
  /** Its address on this machine, for a request that sends no key: its certificate may have other names. */
  readonly probeUrl: string;
  /** How other machines reach it; null where they cannot, or where another setting than --listen says so. */
  readonly remote: { readonly urls: readonly string[]; readonly pin: string | null } | null;
  /** Renews the private certificate when that is due. @returns whether it was renewed; null where there is none */
  readonly renew: (() => Promise<boolean>) | null;
}

/** How the address is chosen. */
interface Choice {
  readonly root: string;
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** ADDRESS:PORT of --listen or MEMBRIDGE_LISTEN. */
  readonly listen: string | undefined;
}

/**
 * Chooses where the control plane listens: as --listen says, else on MEMBRIDGE_HOST and MEMBRIDGE_PORT. --listen beyond
 * loopback makes a private authority and a certificate, unless MEMBRIDGE_TLS_CERT names one.
 * @throws Error saying what is wrong with --listen, the port or the certificate
 */
export async function chooseAddress({ root, dataDir, env, listen }: Choice): Promise<ApiAddress> {
  const port = await choosePort(undefined, 'MEMBRIDGE_PORT', env, STANDARD_PORT);
  const asked = listen === undefined ? null : parseListen(listen, port);
  const at = asked ?? { host: env.MEMBRIDGE_HOST || '127.0.0.1', port };
  const isOpen = asked !== null && !isLoopbackAddress(at.host);
  const own = ownPair(root, env);
  const onMachine = `${bracketed(isEverywhere(at.host) ? '127.0.0.1' : at.host)}:${at.port}`;
  if (own === null && !isOpen) {
    // A request to an address of this machine does not leave it.
    const local = serverAt(`http://${onMachine}`, { allowsPlainHttp: true });
    return { ...at, settings: {}, local, probeUrl: local.url, remote: null, renew: null };
  }
  const names = (): string[] => machineNames(at.host, env);
  const keep = () => keepPrivateCertificate(join(dataDir, 'tls'), names());
  const made = own === null ? await keep() : null;
  const pair = own ?? { certFile: made?.certFile ?? '', keyFile: made?.keyFile ?? '', ...made };
  const { url, pin } =
    made === null
      ? readOwn(pair.certFile, onMachine, at.port)
      : { url: `https://${onMachine}`, pin: made.pin };
  const remote = { urls: remoteUrls(at, env, own === null ? null : url), pin };
  return {
    ...at,
    settings: {
      MEMBRIDGE_TLS_CERT: pair.certFile,
      MEMBRIDGE_TLS_KEY: pair.keyFile,
      // The parts themselves stay on loopback, where other machines cannot reach them.
      ...(isOpen && {
        MEMBRIDGE_AGENT_ENGINE: env.MEMBRIDGE_AGENT_ENGINE || 'tunnel',
        MEMBRIDGE_AGENT_STORE: env.MEMBRIDGE_AGENT_STORE || 'control-plane',
      }),
    },
    local: serverAt(url, { pin }),
    probeUrl: `https://${onMachine}`,
    remote: isOpen ? remote : null,
    renew: made === null ? null : async () => (await keep()).isNew,
  };
}

/** Reads ADDRESS:PORT. @param standardPort for an address alone @throws Error with what to type */
export function parseListen(text: string, standardPort: number): { host: string; port: number } {
  const refuse = (problem: string): Error =>
    new Error(
      `--listen ${text}: ${problem}. Write an address of this machine and a port: 0.0.0.0:8000 (all addresses), [::]:8000 (with IPv6) or ${[...machineAddresses()][0] ?? '10.0.0.1'}:8000.`,
    );
  if (/^:?\d*$/.test(text)) throw refuse('a port alone does not say who may reach the server');
  if (/^https?:/i.test(text)) throw refuse('this is a URL');
  if (isIPv6(text)) throw refuse('an IPv6 address stands in brackets');
  const [, bracket, name, digits] = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracket ?? name;
  if (host === undefined) throw refuse('this is not an address and a port');
  if (bracket !== undefined && !isIPv6(bracket)) throw refuse(`${bracket} is not an IPv6 address`);
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) throw refuse(`${host} is not an IP address`);
  const port = digits === undefined ? standardPort : Number(digits);
  if (port < 1 || port > 65_535) throw refuse(`${digits} is not a port`);
  return { host, port };
}

/** Returns the certificate that the settings name; paths are relative to the checkout, as the service's are. */
function ownPair(root: string, env: NodeJS.ProcessEnv): { certFile: string; keyFile: string } | null {
  const { MEMBRIDGE_TLS_CERT: cert, MEMBRIDGE_TLS_KEY: key } = env;
  // With one of the two, the control plane refuses to start and says why.
  return cert && key ? { certFile: resolve(root, cert), keyFile: resolve(root, key) } : null;
}

/** Finds a name of the certificate by which this machine's own agent can check it, and the authority in its file. */
function readOwn(certFile: string, onMachine: string, port: number): { url: string; pin: string | null } {
  let chain: X509Certificate[];
  try {
    const blocks =
      readFileSync(certFile, 'utf8').match(/-----BEGIN [^-]*-----[^-]*-----END [^-]*-----/g) ?? [];
    chain = blocks.map((pem) => new X509Certificate(pem));
  } catch {
    // The control plane reads the file too, and says what is wrong with it.
    chain = [];
  }
  const [own, last] = [chain[0], chain.at(-1)];
  const { hostname: name } = new URL(`https://${onMachine}`);
  const address = name.replaceAll(/[[\]]/g, '');
  const covers = own?.checkIP(address) !== undefined || own?.checkHost(address) !== undefined;
  const listed = /(?:DNS|IP Address):([^*,\s]+)/.exec(own?.subjectAltName ?? '')?.[1];
  return {
    url: covers || listed === undefined ? `https://${onMachine}` : `https://${bracketed(listed)}:${port}`,
    pin: last !== undefined && isSelfSigned(last) ? pinOf(last) : null,
  };
}

/** Returns the addresses to open on another machine, the best first. */
function remoteUrls(
  { host, port }: { host: string; port: number },
  env: NodeJS.ProcessEnv,
  ownUrl: string | null,
): string[] {
  if (env.MEMBRIDGE_PUBLIC_URL) return [env.MEMBRIDGE_PUBLIC_URL.replace(/\/+$/, '')];
  if (ownUrl !== null) return [ownUrl];
  const hosts = isEverywhere(host) ? [...machineAddresses(), hostname()] : [host];
  return hosts.map((each) => `https://${bracketed(each)}:${port}`);
}

/** Returns the names and addresses that the certificate must have. */
function machineNames(host: string, env: NodeJS.ProcessEnv): string[] {
  const publicName = env.MEMBRIDGE_PUBLIC_URL ? new URL(env.MEMBRIDGE_PUBLIC_URL).hostname : '';
  const all = [
    hostname(),
    ...(isEverywhere(host) ? [] : [host]),
    publicName.replaceAll(/[[\]]/g, ''),
    'localhost',
    '127.0.0.1',
    '::1',
    ...machineAddresses(),
  ];
  return [...new Set(all)].filter(
    (name) => isIP(name) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name),
  );
}

/** Returns the addresses by which other machines reach this one, IPv4 first. Link-local ones need more than the address. */
function machineAddresses(): Set<string> {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const usable = found.filter(({ internal, address }) => !internal && !/^(fe80|169\.254\.)/i.test(address));
  return new Set(usable.toSorted((a, b) => a.family.localeCompare(b.family)).map(({ address }) => address));
}

const isEverywhere = (host: string): boolean => host === '0.0.0.0' || host === '::';
const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host);
