import { errorMessage } from '../contract/errors.ts';
import type { Server } from './server.ts';

/** What OpenSSL and Node find wrong with a certificate, and what a person can do about it. */
const PROBLEMS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    'its certificate has expired. Renew it on the server; if it is valid there, set the clock of this machine',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet. Set the clock of this machine or of the server',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for other names. Use one of those in MEMBRIDGE_SERVER_URL, or give the server a certificate for this name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'this machine does not trust its certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'this machine does not trust the authority of its certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it does not show the whole chain of its certificate',
  UNABLE_TO_GET_ISSUER_CERT: 'it does not show the whole chain of its certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'this machine does not trust the authority of its certificate',
  CERT_SIGNATURE_FAILURE: 'its certificate was not signed by the authority that this machine trusts',
};

/** What helps against an authority that this machine does not know. */
const USE_PIN =
  '. With a private authority, set MEMBRIDGE_SERVER_PIN here to the pin that the server prints at its start (docs/add-a-machine.md)';

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? '';

/** Returns whether a connection failed because of the server's certificate. */
export function isDistrust(error: unknown): boolean {
  return codeOf(error) in PROBLEMS;
}

/** Returns why a connection to a server failed, for people. */
export function explainConnection(error: unknown, { url, pin }: Server): string {
  const code = codeOf(error);
  const problem = PROBLEMS[code];
  if (problem !== undefined) {
    const unknown = pin === null && /SELF_SIGNED|UNABLE/.test(code);
    return `${problem}${unknown ? USE_PIN : ''} (${errorMessage(error)})`;
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return `it does not speak HTTPS at this port; check MEMBRIDGE_SERVER_URL (${errorMessage(error)})`;
  }
  if (code === 'ECONNRESET' && url.startsWith('http:')) {
    return `it closed the connection; if it speaks HTTPS, set MEMBRIDGE_SERVER_URL to its https:// address (${errorMessage(error)})`;
  }
  // An address with several IPs fails with one error for each.
  const { errors } = error as { errors?: unknown };
  return Array.isArray(errors) && errors.length > 0
    ? errors.map((each: unknown) => errorMessage(each)).join('; ')
    : errorMessage(error);
}
