import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { isAllowedHost } from '../../contract/git-url.ts';

/** Networks that are not told of tasks unless their host is listed: this machine's own, and those behind the same router. */
const CLOSED: readonly (readonly [network: string, bits: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  // Link-local; clouds serve credentials there.
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  // Multicast, and what is reserved.
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['::1', 128, 'ipv6'],
  // Forms that carry an IPv4 address, which a gateway would unpack: NAT64, 6to4, Teredo.
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['2001::', 32, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const closed = new BlockList();
for (const [network, bits, family] of CLOSED) closed.addSubnet(network, bits, family);

/** Whether an address, as text, is one of the open internet. IPv4 within IPv6 (`::ffff:…`) counts as the IPv4 address. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !closed.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** The host of a URL as an address or a name, without brackets. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/**
 * Why a URL may not be told of tasks, as far as its text says; null when it may be. Where a name leads is looked at when it is connected
 * to (`lookupFor`).
 * @param hosts of MEMBRIDGE_WEBHOOK_HOSTS; empty: every host of the open internet
 */
export function whyNoWebhook(text: string, hosts: readonly string[]): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'must be an http(s) URL';
  }
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password';
  const host = hostOf(url);
  if (hosts.length > 0) {
    return isAllowedHost(host, hosts)
      ? null
      : `${host} is not among the hosts of MEMBRIDGE_WEBHOOK_HOSTS (${hosts.join(', ')})`;
  }
  const isLocal = /^(?:.*\.)?localhost\.?$/.test(host) || (isIP(host) !== 0 && !isPublicAddress(host));
  return isLocal ? refusalOf(host) : null;
}

const refusalOf = (host: string): string =>
  `${host} is not on the open internet; such a host must be listed in MEMBRIDGE_WEBHOOK_HOSTS`;

/** An address that must not be connected to. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/**
 * How the host of a URL is looked up. The connection is made to an address that was checked here, so that a name cannot lead elsewhere
 * between the check and the connection (DNS rebinding).
 * @param hosts of MEMBRIDGE_WEBHOOK_HOSTS; what is listed may be anywhere
 * @throws AddressRefused when the host is an address itself, for which nothing would be looked up
 */
export function lookupFor(url: URL, hosts: readonly string[]): LookupFunction {
  const host = hostOf(url);
  const isOpen = hosts.length > 0;
  if (!isOpen && isIP(host) !== 0 && !isPublicAddress(host)) throw new AddressRefused(refusalOf(host));
  return (name, options, done) => {
    dnsLookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      const first = found?.[0];
      if (error !== null || first === undefined) {
        done(error ?? new Error(`${name} has no address`), '');
      } else if (!isOpen && !found.every(({ address }) => isPublicAddress(address))) {
        done(new AddressRefused(refusalOf(name)), '');
      } else if (options.all === true) {
        done(null, found);
      } else {
        done(null, first.address, first.family);
      }
    });
  };
}
