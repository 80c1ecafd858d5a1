/** The server's own certificate and key: MEMBRIDGE_TLS_CERT and MEMBRIDGE_TLS_KEY. */
import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '../../contract/errors.ts';
import { isSelfSigned, pinOf } from '../../transport/pin.ts';

/** Where the pair is: PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate with its chain and its key, which fit together and are valid now. */
export interface TlsPair {
  /** The texts of both files. */
  readonly cert: string;
  readonly key: string;
  readonly subject: string;
  /** Epoch milliseconds. */
  readonly validUntil: number;
  /** The pin of the authority at the end of the chain; null where the file does not hold it. */
  readonly caPin: string | null;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Returns the text of a file. @throws Error naming the setting */
function readSetting(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`${setting}: ${file} cannot be read (${errorMessage(cause)})`, { cause });
  }
}

/** Reads the texts of both files. @throws Error naming the setting whose file cannot be read */
export function readTexts({ certFile, keyFile }: TlsFiles): { cert: string; key: string } {
  return {
    cert: readSetting('MEMBRIDGE_TLS_CERT', certFile),
    key: readSetting('MEMBRIDGE_TLS_KEY', keyFile),
  };
}

/**
 * Checks that a certificate and a key can serve now.
 * @param now epoch milliseconds
 * @throws Error naming the setting, what is wrong with its file, and what to do
 */
export function checkPair(
  { certFile, keyFile }: TlsFiles,
  { cert, key }: { cert: string; key: string },
  now: number,
): TlsPair {
  const chain = readChain(certFile, cert);
  const [own] = chain;
  if (own === undefined) {
    throw new Error(`MEMBRIDGE_TLS_CERT: ${certFile} holds no certificate; it must be a PEM file`);
  }
  if (!own.checkPrivateKey(readKey(keyFile, key))) {
    throw new Error(
      `MEMBRIDGE_TLS_KEY: ${keyFile} is not the key of the certificate in ${certFile}. The server's certificate must be the first in its file`,
    );
  }
  const subject = (own.subject || own.subjectAltName || '').replaceAll('\n', ', ');
  const [from, until] = [own.validFromDate.getTime(), own.validToDate.getTime()];
  if (now > until) {
    throw new Error(
      `MEMBRIDGE_TLS_CERT: the certificate in ${certFile} (${subject}) expired at ${own.validToDate.toISOString()}. Renew it`,
    );
  }
  if (now < from) {
    throw new Error(
      `MEMBRIDGE_TLS_CERT: the certificate in ${certFile} (${subject}) is valid only from ${own.validFromDate.toISOString()}. Check the clock of this machine`,
    );
  }
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new Error(`MEMBRIDGE_TLS_CERT: ${certFile} cannot be used (${errorMessage(cause)})`, { cause });
  }
  const last = chain.at(-1);
  const caPin = last !== undefined && isSelfSigned(last) ? pinOf(last) : null;
  return { cert, key, subject, validUntil: until, caPin };
}

function readChain(file: string, text: string): X509Certificate[] {
  try {
    return [...text.matchAll(BLOCK)].map(([pem]) => new X509Certificate(pem));
  } catch (cause) {
    throw new Error(
      `MEMBRIDGE_TLS_CERT: ${file} holds a certificate that cannot be read (${errorMessage(cause)})`,
      {
        cause,
      },
    );
  }
}

function readKey(file: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new Error(
      `MEMBRIDGE_TLS_KEY: ${file} holds no key that can be read; it must be a PEM file without a passphrase (${errorMessage(cause)})`,
      { cause },
    );
  }
}
