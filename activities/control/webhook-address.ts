import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { isAllowedHost } from '../../contract/projects/git-url.ts';

type Network = readonly [network: string, bits: number];

/** IPv4 networks that are not on the public internet (IANA's special-purpose registry, and multicast). */
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
  // Multicast and reserved.
  ['224.0.0.0', 3],
];
/**
 * The only IPv6 network of the public internet; all others are local, multicast, or contain an IPv4 address.
 */
const OPEN_IPV6: Network = ['2000::', 3];
/**
 * Parts of it that are not public (IANA's special-purpose registry): Teredo, ORCHID, benchmarks,
 * documentation, 6to4.
 */
const CLOSED_IPV6: readonly Network[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const closedRanges = new BlockList();
for (const [network, bits] of CLOSED_IPV4) closedRanges.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of CLOSED_IPV6) closedRanges.addSubnet(network, bits, 'ipv6');
const openIpv6Ranges = new BlockList();
openIpv6Ranges.addSubnet(...OPEN_IPV6, 'ipv6');
const mappedIpv4Ranges = new BlockList();
mappedIpv4Ranges.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * Returns whether an address, as text, is public. IPv4 within IPv6 (`::ffff:…`) counts as the IPv4 address.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || closedRanges.check(address, family === 6 ? 'ipv6' : 'ipv4')) return false;
  return family === 4 || openIpv6Ranges.check(address, 'ipv6') || mappedIpv4Ranges.check(address, 'ipv6');
}

/** Returns the host of a URL as an address or a name, without brackets. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/**
 * Returns why a URL is not allowed for webhooks, judged by its text; null when it is allowed. `lookupAllowedAddresses`
 * checks the addresses of a name at connection time.
 * @param hosts the value of MEMBRIDGE_WEBHOOK_HOSTS; empty for every public host
 */
export function explainRefusedWebhook(text: string, hosts: readonly string[]): string | null {
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
  return isLocal ? refusalSentence(host) : null;
}

const refusalSentence = (host: string): string =>
  `${host} is not on the open internet; such a host must be listed in MEMBRIDGE_WEBHOOK_HOSTS`;

/** Thrown for an address that must not be contacted. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/**
 * Returns a lookup function for a URL's host. The connection uses the address that was checked here, so a
 * name cannot change between check and connection (DNS rebinding).
 * @param hosts the value of MEMBRIDGE_WEBHOOK_HOSTS; a listed host may have any address
 * @throws AddressRefused when the host itself is a forbidden address, for which no lookup would happen
 */
export function lookupAllowedAddresses(url: URL, hosts: readonly string[]): LookupFunction {
  const host = hostOf(url);
  const isOpen = hosts.length > 0;
  if (!isOpen && isIP(host) !== 0 && !isPublicAddress(host)) throw new AddressRefused(refusalSentence(host));
  return (name, options, done) => {
    dnsLookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      const first = found?.[0];
      if (error !== null || first === undefined) {
        done(error ?? new Error(`${name} has no address`), '');
      } else if (!isOpen && !found.every(({ address }) => isPublicAddress(address))) {
        done(new AddressRefused(refusalSentence(name)), '');
      } else if (options.all === true) {
        done(null, found);
      } else {
        done(null, first.address, first.family);
      }
    });
  };
}
