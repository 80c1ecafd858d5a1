import { join } from 'node:path';
import { fetchPackages, selectForPlatform } from '../support/npm-packages.ts';

/** The release of claude-mem whose worker the tests run; fixtures/claude-mem has its tables. */
export const CLAUDE_MEM = '13.25.3';
const BUN = '1.4.5';

const CLAUDE_MEM_SHA512 =
  'Hqa33Vv8YJ5fnaHzZc3HC3JihHagHji5O9R66ZBIKn3DDPOlaDfI5X2oxuSdtp7kRMsEpMc2p7wMXPEe0kZG9g==';
/** By platform: bun's package, and the SHA-512 of its tarball. */
const BUNS: Readonly<Record<string, readonly [name: string, sha512: string]>> = {
  'linux-x64': [
    '@oven/bun-linux-x64',
    'IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==',
  ],
  'linux-arm64': [
    '@oven/bun-linux-aarch64',
    '4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==',
  ],
  'darwin-x64': [
    '@oven/bun-darwin-x64',
    'qkLPMGHZM9NI6CeHTWwVezzmlo6cC4Ta7yUAjYIWXS366qQcOlcp75t2uZyiuVRBMPS0h9qE0tCcvCHGaFqjJg==',
  ],
  'darwin-arm64': [
    '@oven/bun-darwin-aarch64',
    '4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==',
  ],
};

/** The worker's script, and the program that runs it. */
export interface WorkerProgram {
  readonly bun: string;
  readonly script: string;
}

/**
 * Fetches claude-mem (Apache-2.0) and bun (MIT) as npm publishes them, once per machine. For tests only: no part of
 * either belongs to Membridge. They are fetched as two packages and not as dependencies. Claude-mem's other
 * dependencies (an authentication framework, 20 grammars) are not needed here. npm takes more than ten minutes to
 * resolve them.
 * @throws Error when npm cannot fetch them, when one differs from its digest, or where bun does not run
 */
export async function installWorker(): Promise<WorkerProgram> {
  const [name, sha512] = selectForPlatform(BUNS, "claude-mem's worker");
  const folder = await fetchPackages(`claude-mem-${CLAUDE_MEM}-bun-${BUN}`, {
    'claude-mem': { what: `claude-mem@${CLAUDE_MEM}`, sha512: CLAUDE_MEM_SHA512 },
    bun: { what: `${name}@${BUN}`, sha512 },
  });
  return {
    bun: join(folder, 'bun', 'bin', 'bun'),
    script: join(folder, 'claude-mem', 'plugin', 'scripts', 'worker-service.cjs'),
  };
}
