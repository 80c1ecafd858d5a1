import { join } from 'node:path';
import { fetchPackages, selectForPlatform } from '../support/npm-packages.ts';

/** The release of Claude Code that the tests run. */
const CLAUDE_CODE = '2.1.197';

/** By platform: the SHA-512 of the tarball of `@anthropic-ai/claude-code-<platform>`. */
const PACKAGES: Readonly<Record<string, readonly [name: string, sha512: string]>> = {
  'linux-x64': [
    '@anthropic-ai/claude-code-linux-x64',
    'rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==',
  ],
  'linux-arm64': [
    '@anthropic-ai/claude-code-linux-arm64',
    'sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==',
  ],
  'darwin-x64': [
    '@anthropic-ai/claude-code-darwin-x64',
    'DOPeGTQqJWVENJsxwMxJtLOx+7OBINEDg9trQldlJR1nBssaYzNj1WWxp37JYSBRjeYLhqLipvDqEA0LMglL7A==',
  ],
  'darwin-arm64': [
    '@anthropic-ai/claude-code-darwin-arm64',
    '1FOVhJzkKGWgOEEsvaK3ylCEmjKeJiXwfKl7RtNEbiDj7OxhRQ1G1CLN0HGDTTq1QwY+Dm2x1Yscdv5NfobAxQ==',
  ],
};

/**
 * Fetches Claude Code as npm publishes it (235 MB unpacked), once per machine. For tests only: no part of it belongs
 * to Membridge.
 * @returns the path of the program `claude`
 * @throws Error when npm cannot fetch it, when it differs from its digest, or where it does not run
 */
export async function installClaude(): Promise<string> {
  const [name, sha512] = selectForPlatform(PACKAGES, 'the test of Claude Code');
  const folder = await fetchPackages(`claude-code-${CLAUDE_CODE}`, {
    claude: { what: `${name}@${CLAUDE_CODE}`, sha512 },
  });
  return join(folder, 'claude', 'claude');
}
