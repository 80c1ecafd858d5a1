import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findDebianProgram } from '../../stack/tools.ts';

/** Makes a key and a self-signed certificate of `localhost`. @returns the files, below the folder */
export function makeCertificate(folder: string): { key: string; certificate: string } {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync(
    findDebianProgram('openssl', () => undefined),
    [...request, '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
    { stdio: 'ignore' },
  );
  return { key, certificate };
}
