import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { isAllowedHost } from '../../contract/projects/git-url.ts';

type Network = readonly [network: string, bits: number];

/** IPv4 networks that are not on the open internet (IANA's special-purpose registry, and multicast). */
const CLOSED_IPV4: readonly Network[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Link-local; clouds serve credentials there.
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, and what is reserved.
  ['224.0.0.0', 3],
];
/** The only IPv6 network of the open internet; every other one is local, multicast, or carries an IPv4 address. */
const OPEN_IPV6: Network = ['2000::', 3];
/** Parts of it that are not (IANA's special-purpose registry): Teredo, ORCHID, benchmarks, documentation, 6to4. */
const CLOSED_IPV6: readonly Network[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const closed = new BlockList();
for (const [network, bits] of CLOSED_IPV4) closed.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of CLOSED_IPV6) closed.addSubnet(network, bits, 'ipv6');
const openIpv6 = new BlockList();
openIpv6.addSubnet(...OPEN_IPV6, 'ipv6');
const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

/** Whether an address, as text, is one of the open internet. IPv4 within IPv6 (`::ffff:…`) counts as the IPv4 address. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || closed.check(address, family === 6 ? 'ipv6' : 'ipv4')) return false;
  return family === 4 || openIpv6.check(address, 'ipv6') || mapped.check(address, 'ipv6');
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
