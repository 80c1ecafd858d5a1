/**
 * Returns whether a Host header names this machine by `localhost`, a loopback address or a given name. Only a program
 * on this machine, or a tunnel to it, sends such a name. A website that points its own name at 127.0.0.1 (DNS rebinding) sends that name.
 * @param host the header, with or without a port
 * @param names further names, without a port
 */
export function isOwnHost(host: string | undefined, names: readonly string[] = []): boolean {
  const name = (host ?? '').toLowerCase().replace(/:\d*$/, '');
  if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(name)) return true;
  return names.some((own) => own.toLowerCase() === name);
}

/** Returns whether a server that listens on an address can be reached only from this machine. */
export function isLoopbackAddress(address: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/.test(address);
}
