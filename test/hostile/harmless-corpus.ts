import { seeded } from '../../fixtures/claude-mem/history.ts';
import { Prose } from '../../fixtures/claude-mem/prose.ts';

const HEX = '0123456789abcdef';
const ALNUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** What a model writes about code that handles secrets, without holding one. */
const SENTENCES = [
  'The token is refreshed by refreshAccessToken() when the server answers 401.',
  'Set the password in the settings page; the default password must be changed at first login.',
  'Authorization: Bearer is missing in the request, so the middleware rejects it.',
  'The header is `Authorization: Bearer <token>`, and the token comes from the vault.',
  'API keys are stored hashed: password_hash uses argon2id, api_key_hash uses sha256.',
  'const token = await getToken(session.userId);',
  'const { password, confirmPassword } = req.body;',
  'export const passwordSchema = z.string().min(8).max(128);',
  'token: string; refreshToken?: string; tokenType: "bearer"; secretName: string;',
  'password: process.env.DB_PASSWORD ?? "changeme",',
  'DATABASE_URL=postgres://localhost:5432/app in the example file.',
  'export API_KEY=your-api-key-here',
  'API_KEY=${API_KEY} docker compose up',
  'headers: { "x-api-key": apiKey, accept: "application/json" }',
  'max_tokens: 4096, temperature: 0.2, model: "claude-opus-4-20250514"',
  'discovery_tokens: 12345; input_tokens=889 output_tokens=1203 cache_read_input_tokens=20311',
  'The keyword `secret` in the schema is a SecretRef: secretKeyRef.name=app-tls-secret-v2, key=tls.crt',
  'secret: my-app-prod-credentials-v3 is mounted at /var/run/secrets/kubernetes.io/serviceaccount/token',
  'token_endpoint: https://accounts.example.org/o/oauth2/token',
  'private_key_path: /etc/ssl/private/server-2024.key',
  'The file begins with -----BEGIN PRIVATE KEY----- and ends with the matching line.',
  'Tests use sk-ant-... as a stand-in, and ghp_... in the docs.',
  'git clone https://github.com/example/repo.git && cd repo && npm ci',
  'curl -s https://example.org/health -H "Accept: application/json"',
  'See https://docs.example.org/guide/authentication?section=tokens&version=2.1 for the flow.',
  'npm_config_registry and npm_lifecycle_event are set by npm.',
  'task-list of 40 characters and many more words in one-long-kebab-case-name-for-a-component',
  'The access key id is read from ~/.aws/credentials by the SDK; nothing is logged.',
  'Cloudflare: the worker reads env.CLOUDFLARE_ACCOUNT_ID; Datadog agent 7.52.1 is installed.',
  'Discord: channel 123456789012345678; Twitter: tweet 1234567890123456789',
  'linear search: O(n); linear: interpolation between keyframes; jira: PROJ-1234, confluence: page 98304',
  'heroku: app my-app-staging was scaled; sentry: issue MYAPP-3F2 resolved in 4.12.0',
  'The session key is derived with HKDF; auth_key=derive(master_key, "auth").',
  'Signed-off-by: Somebody <somebody@example.org>',
  'passwordless login: magic links; pwd: /home/user/projects/app; pwd=/workspace/src',
  'The tokenizer: cl100k_base, o200k_base; vocabulary 200019.',
  'credential helper: osxkeychain; credentials: include; credentials: "same-origin"',
  '<input type="password" name="password" autocomplete="current-password" />',
  'secrets: inherit; secrets.GITHUB_TOKEN; ${{ secrets.NPM_TOKEN }}; token: ${{ github.token }}',
];

/** Makes memories that hold no secret, and much that looks like one. */
export class HarmlessMemories {
  readonly #random: () => number;
  readonly #prose: Prose;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seeded(seed);
    this.#prose = new Prose(this.#seed);
  }

  /** Returns the text of one memory. */
  next(): string {
    const parts = Array.from({ length: 2 + this.#below(5) }, () => this.#part());
    return this.#random() < 0.3 ? JSON.stringify(parts) : parts.join(this.#random() < 0.5 ? '\n' : ' ');
  }

  #part(): string {
    const hex = (length: number): string => this.#of(HEX, length);
    const uuid = (): string => [8, 4, 4, 4, 12].map(hex).join('-');
    const path = (): string => this.#prose.path();
    const word = (): string => this.#prose.word();
    const kinds: readonly (() => string)[] = [
      () => this.#prose.text(120),
      () => this.#prose.text(60),
      () => SENTENCES[this.#below(SENTENCES.length)] ?? '',
      () => SENTENCES[this.#below(SENTENCES.length)] ?? '',
      () => `commit ${hex(40)} by ${word()}`,
      () => `${hex(7)}..${hex(7)} main -> origin/main`,
      () => `sha256:${hex(64)} ${path()}`,
      () => `"integrity": "sha512-${this.#of(`${ALNUM}+/`, 86)}=="`,
      () => `id ${uuid()} session ${uuid()}`,
      () => `requestId=${uuid()} traceparent: 00-${hex(32)}-${hex(16)}-01`,
      () => `![](data:image/png;base64,iVBORw0KGgo${this.#of(`${ALNUM}+/`, 200 + this.#below(400))}=)`,
      () => `{"etag": "${hex(32)}", "size": ${this.#below(1e6)}, "path": "${path()}"}`,
      () => `md5 ${hex(32)}; cache key ${word()}-${hex(20)}; key: ${word()}/${word()}/${this.#below(99)}`,
      () => `import { ${word()} } from '../${path()}';`,
      () =>
        `function ${word()}${word()}(${word()}: string): Promise<${word()}> { return this.${word()}.get(${word()}); }`,
      () => `at ${word()} (file:///home/${word()}/${path()}:${this.#below(900)}:${this.#below(80)})`,
      () =>
        `${new Date(1.7e12 + this.#below(1e10)).toISOString()} INFO ${word()} took ${this.#below(9e4)} ms`,
      () => `arn:aws:s3:::${word()}-${this.#below(1e9)} i-0${hex(16)} vpc-0${hex(16)}`,
      () =>
        `https://example.org/${word()}/${uuid()}?page=${this.#below(99)}&sort=${word()}&cursor=${this.#of(ALNUM, 24)}`,
      () =>
        `https://registry.npmjs.org/${word()}/-/${word()}-${this.#below(9)}.${this.#below(30)}.${this.#below(9)}.tgz`,
      () => `docker pull example/${word()}@sha256:${hex(64)}`,
      () => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${this.#of(`${ALNUM}+/`, 43)} ${word()}@host`,
      () => `.${word()}-${this.#of(ALNUM, 6)} { color: #${hex(6)}; background: #${hex(6)}; }`,
      () => `UPDATE ${word()} SET ${word()} = ${this.#below(1e6)} WHERE id = '${uuid()}';`,
      () => `C:\\Users\\${word()}\\AppData\\Local\\${word()}\\${hex(8)}.log`,
      () => `postgres://${word()}@localhost:5432/${word()} redis://localhost:6379/${this.#below(9)}`,
      () =>
        `version ${this.#below(9)}.${this.#below(40)}.${this.#below(99)}-beta.${this.#below(9)}+${hex(8)}`,
      () => `tokenId: ${uuid()}, token_hash: ${hex(64)}, secret_version: ${this.#below(99)}`,
    ];
    return (kinds[this.#below(kinds.length)] as () => string)();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #of(alphabet: string, length: number): string {
    return Array.from({ length }, () => alphabet[this.#below(alphabet.length)] ?? '').join('');
  }
}
