/**
 * Whether a Host header names this machine in a way that only a program here, or a tunnel to it, would use: `localhost`, a loopback
 * address, or one of the names given. A website that points its own name at 127.0.0.1 (DNS rebinding) sends that name.
 * @param host the header, with or without a port
 * @param names further names, without a port
 */
export function isOwnHost(host: string | undefined, names: readonly string[] = []): boolean {
  const name = (host ?? '').toLowerCase().replace(/:\d*$/, '');
  if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(name)) return true;
  return names.some((own) => own.toLowerCase() === name);
}

/** Whether a server that listens on an address is reached from this machine alone. */
export function isLoopbackAddress(address: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/.test(address);
}
