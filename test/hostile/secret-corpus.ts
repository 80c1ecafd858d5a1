import { seeded } from '../../fixtures/claude-mem/history.ts';

/** A secret within a text, made at run time: no file holds one. */
export interface PlantedSecret {
  readonly name: string;
  /** What a person would paste: the secret with its surroundings. */
  readonly text: string;
  /** The part that must not be sent. */
  readonly secret: string;
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
const HEX = `${DIGITS}abcdef`;
const BASE32 = `${UPPER}234567`;
const ALNUM = `${LOWER}${UPPER}${DIGITS}`;
const LOW = `${LOWER}${DIGITS}`;
const URL_SAFE = `${ALNUM}_-`;
const BASE64 = `${ALNUM}+/`;

/** Makes secrets of every known form; the same seed makes the same ones. */
export function plantedSecrets(seed: number): PlantedSecret[] {
  const random = seeded(seed);
  const of = (alphabet: string, length: number): string =>
    Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)] ?? '').join('');
  const hex = (length: number): string => of(HEX, length);
  const alnum = (length: number): string => of(ALNUM, length);
  const uuid = (): string => [8, 4, 4, 4, 12].map(hex).join('-');
  const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const lines = (length: number, width: number): string =>
    of(BASE64, length).replace(new RegExp(`.{${width}}`, 'g'), '$&\n');
  const block = (kind: string): string => `-----BEGIN ${kind}-----\n${lines(640, 64)}\n-----END ${kind}-----`;
  const jwt = (): string =>
    `${json({ alg: 'HS256', typ: 'JWT' })}.${json({ sub: of(DIGITS, 10), name: 'somebody' })}.${of(URL_SAFE, 43)}`;
  const planted: PlantedSecret[] = [];
  const plain = (name: string, ...secrets: string[]): void =>
    secrets.forEach((secret) => planted.push({ name, text: secret, secret }));
  const within = (name: string, secret: string, text: (secret: string) => string): void =>
    void planted.push({ name, secret, text: text(secret) });

  for (const kind of ['ghp', 'gho', 'ghu', 'ghs', 'ghr']) plain(`GitHub ${kind}`, `${kind}_${alnum(36)}`);
  plain('GitHub fine-grained', `github_pat_${alnum(22)}_${alnum(59)}`);
  for (const kind of [
    'glpat',
    'gldt',
    'glft',
    'glsoat',
    'glrt',
    'glptt',
    'glcbt',
    'glagent',
    'glimt',
    'gloas',
    'glffct',
  ])
    plain(`GitLab ${kind}`, `${kind}-${kind === 'glptt' ? hex(40) : alnum(52)}`);
  plain('GitLab registration', `GR1348941${alnum(20)}`);
  for (const kind of ['AKIA', 'ASIA', 'ABIA', 'ACCA']) plain(`AWS ${kind}`, `${kind}${of(BASE32, 16)}`);
  within('AWS secret key', of(BASE64, 40), (secret) => `aws_secret_access_key = ${secret}`);
  within('AWS session token', of(BASE64, 200), (secret) => `AWS_SESSION_TOKEN=${secret}`);
  plain('AWS Bedrock', `ABSK${of(BASE64, 128)}`);
  plain('Google key', `AIza${of(URL_SAFE, 35)}`);
  plain('Google OAuth secret', `GOCSPX-${of(URL_SAFE, 28)}`);
  plain('Google OAuth token', `ya29.${of(URL_SAFE, 120)}`);
  within('Google service account', block('PRIVATE KEY').slice(28, 600), (secret) =>
    JSON.stringify({
      type: 'service_account',
      private_key: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`,
    }),
  );
  plain('Azure client secret', `${alnum(3)}8Q~${of(`${ALNUM}_~.-`, 34)}`);
  within(
    'Azure storage',
    `${of(BASE64, 86)}==`,
    (secret) => `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret};EndpointSuffix=x`,
  );
  within(
    'Azure bus',
    `${of(BASE64, 43)}=`,
    (secret) => `Endpoint=sb://a.net/;SharedAccessKeyName=k;SharedAccessKey=${secret}`,
  );
  within(
    'Azure SAS',
    `${encodeURIComponent(of(BASE64, 43))}%3D`,
    (secret) => `https://a.blob.core.windows.net/c?sv=2024-01-01&sig=${secret}`,
  );
  plain('Slack bot', `xoxb-${of(DIGITS, 12)}-${of(DIGITS, 12)}-${alnum(24)}`);
  plain('Slack user', `xoxp-${of(DIGITS, 12)}-${of(DIGITS, 12)}-${of(DIGITS, 12)}-${hex(32)}`);
  plain('Slack app', `xapp-1-A${of(UPPER + DIGITS, 10)}-${of(DIGITS, 13)}-${hex(64)}`);
  within(
    'Slack webhook',
    `T${of(UPPER + DIGITS, 8)}/B${of(UPPER + DIGITS, 8)}/${alnum(24)}`,
    (secret) => `https://hooks.slack.com/services/${secret}`,
  );
  for (const kind of ['sk_live', 'rk_live', 'sk_test', 'rk_test'])
    plain(`Stripe ${kind}`, `${kind}_${alnum(24)}`);
  plain('Stripe webhook', `whsec_${alnum(32)}`);
  plain(
    'OpenAI',
    `sk-${alnum(20)}T3BlbkFJ${alnum(20)}`,
    `sk-proj-${of(URL_SAFE, 74)}T3BlbkFJ${of(URL_SAFE, 74)}`,
    `sk-svcacct-${of(URL_SAFE, 120)}`,
  );
  plain('Anthropic', `sk-ant-api03-${of(URL_SAFE, 93)}AA`, `sk-ant-admin01-${of(URL_SAFE, 93)}AA`);
  plain('DeepSeek', `sk-${hex(32)}`);
  plain('OpenRouter', `sk-or-v1-${hex(64)}`);
  plain('Groq', `gsk_${alnum(52)}`);
  plain('xAI', `xai-${alnum(80)}`);
  plain('Perplexity', `pplx-${alnum(48)}`);
  plain('Replicate', `r8_${alnum(37)}`);
  plain('Hugging Face', `hf_${of(LOWER + UPPER, 34)}`);
  plain('LangSmith', `lsv2_pt_${hex(32)}_${hex(10)}`);
  plain('npm', `npm_${alnum(36)}`);
  within('npm registry', uuid(), (secret) => `//registry.example.org/:_authToken=${secret}`);
  plain('PyPI', `pypi-AgEIcHlwaS5vcmc${of(URL_SAFE, 120)}`);
  plain('RubyGems', `rubygems_${hex(48)}`);
  plain('NuGet', `oy2${of(LOW, 43)}`);
  plain('Docker', `dckr_pat_${of(URL_SAFE, 27)}`);
  plain('Artifactory', `AKCp${alnum(69)}`);
  plain('Atlassian', `ATATT3${of(URL_SAFE, 186)}`);
  plain('Bitbucket', `ATBB${alnum(32)}`);
  plain('Sourcegraph', `sgp_${hex(40)}`);
  plain('Postman', `PMAK-${hex(24)}-${hex(34)}`);
  plain('Pulumi', `pul-${hex(40)}`);
  plain('Terraform', `${alnum(14)}.atlasv1.${of(URL_SAFE, 67)}`);
  plain('SonarQube', `squ_${hex(40)}`);
  plain('Octopus', `API-${of(UPPER + DIGITS, 26)}`);
  plain('Buildkite', `bkua_${hex(40)}`);
  for (const kind of ['dop', 'doo', 'dor']) plain(`DigitalOcean ${kind}`, `${kind}_v1_${hex(64)}`);
  plain('Alibaba', `LTAI${alnum(20)}`);
  plain('Tencent', `AKID${alnum(32)}`);
  plain('Yandex', `AQVN${alnum(36)}`, `t1.${of(URL_SAFE, 40)}.${of(URL_SAFE, 86)}`);
  plain('Heroku', `HRKU-AA${of(URL_SAFE, 58)}`);
  within('Heroku old', uuid(), (secret) => `HEROKU_API_KEY=${secret}`);
  plain('Fly.io', `fo1_${of(URL_SAFE, 43)}`, `fm2_${of(BASE64, 160)}`);
  plain('Netlify', `nfp_${alnum(36)}`);
  plain('Vercel', `vercel_blob_rw_${alnum(16)}_${alnum(30)}`);
  plain('Supabase', `sbp_${hex(40)}`, `sb_secret_${of(URL_SAFE, 31)}`);
  plain('PlanetScale', `pscale_tkn_${of(URL_SAFE, 43)}`, `pscale_pw_${of(URL_SAFE, 43)}`);
  plain('Databricks', `dapi${hex(32)}`);
  plain('OpenShift', `sha256~${of(URL_SAFE, 43)}`);
  plain('Vault', `hvs.${of(URL_SAFE, 95)}`, `hvb.${of(URL_SAFE, 150)}`);
  plain('Doppler', `dp.pt.${alnum(43)}`);
  plain(
    '1Password',
    `A3-${of(UPPER + DIGITS, 6)}-${of(UPPER + DIGITS, 11)}-${of(UPPER + DIGITS, 5)}-${of(UPPER + DIGITS, 5)}-${of(UPPER + DIGITS, 5)}`,
  );
  plain('1Password service', `ops_eyJ${of(BASE64, 300)}`);
  plain('age', `AGE-SECRET-KEY-1${of('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}`);
  plain('Tailscale', `tskey-auth-${alnum(16)}-${alnum(32)}`);
  plain('Square', `sq0atp-${of(URL_SAFE, 22)}`, `EAAA${of(URL_SAFE, 60)}`);
  plain('Shopify', `shpat_${hex(32)}`, `shpss_${hex(32)}`);
  plain('Shippo', `shippo_live_${hex(40)}`);
  plain('EasyPost', `EZAK${alnum(54)}`);
  plain('Plaid', `access-production-${uuid()}`);
  within(
    'Discord webhook',
    of(URL_SAFE, 68),
    (secret) => `https://discord.com/api/webhooks/${of(DIGITS, 18)}/${secret}`,
  );
  plain('Telegram', `1${of(DIGITS, 9)}:AA${of(URL_SAFE, 33)}`);
  plain('SendGrid', `SG.${of(URL_SAFE, 22)}.${of(URL_SAFE, 43)}`);
  plain('Brevo', `xkeysib-${hex(64)}-${alnum(16)}`);
  plain('Mailgun', `key-${hex(32)}`);
  plain('Resend', `re_${alnum(8)}_${alnum(24)}`);
  plain('Twilio', `SK${hex(32)}`);
  plain('Typeform', `tfp_${of(URL_SAFE, 59)}`);
  plain('Linear', `lin_api_${alnum(40)}`);
  plain('Notion', `ntn_${of(DIGITS, 11)}${alnum(35)}`);
  within('Airtable', `pat${alnum(14)}.${hex(64)}`, (secret) => `AIRTABLE_TOKEN=${secret}`);
  plain('Figma', `figd_${of(URL_SAFE, 40)}`);
  plain('Grafana', `glsa_${alnum(32)}_${hex(8)}`, `glc_${of(BASE64, 80)}`);
  plain('Dynatrace', `dt0c01.${of(BASE32, 24)}.${of(BASE32, 64)}`);
  plain('New Relic', `NRAK-${of(UPPER + DIGITS, 27)}`);
  plain('Sentry', `sntryu_${hex(64)}`);
  plain('MaxMind', `${alnum(6)}_${alnum(29)}_mmk`);
  plain('JSON web token', jwt(), jwt());
  within(
    'encrypted JSON web token',
    of(URL_SAFE, 400),
    (secret) =>
      `${json({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.${secret}.${of(URL_SAFE, 16)}.${of(URL_SAFE, 80)}.${of(URL_SAFE, 22)}`,
  );
  for (const kind of [
    'PRIVATE KEY',
    'RSA PRIVATE KEY',
    'EC PRIVATE KEY',
    'ENCRYPTED PRIVATE KEY',
    'OPENSSH PRIVATE KEY',
    'PGP PRIVATE KEY BLOCK',
  ])
    plain(`key: ${kind}`, block(kind));
  within(
    'key without an end',
    of(BASE64, 64),
    (secret) => `-----BEGIN RSA PRIVATE KEY-----\n${secret}\n${of(BASE64, 64)}`,
  );
  for (const scheme of ['postgres', 'postgresql', 'mysql', 'mongodb+srv', 'redis', 'amqp', 'https', 'ftp'])
    within(`address: ${scheme}`, `${alnum(14)}!`, (secret) => `${scheme}://app:${secret}@db.example.org/x`);
  within('address without a user', alnum(16), (secret) => `redis://:${secret}@cache.example.org:6379/0`);
  within(
    'token in the user’s place',
    `${alnum(20)}4x`,
    (secret) => `https://${secret}@git.example.org/a.git`,
  );
  within('header: Bearer', alnum(40), (secret) => `Authorization: Bearer ${secret}`);
  within(
    'header: Basic',
    Buffer.from(`bob:${alnum(12)}`).toString('base64'),
    (secret) => `Authorization: Basic ${secret}`,
  );
  within('header: token', hex(40), (secret) => `Authorization: token ${secret}`);
  within('header: key', alnum(32), (secret) => `X-API-Key: ${secret}`);
  within('curl', `${alnum(10)}!7`, (secret) => `curl -s -u bob:${secret} https://example.org`);
  within('netrc', `${alnum(12)}9`, (secret) => `machine example.org login bob password ${secret}`);
  within('option', `${alnum(14)}5`, (secret) => `deploy --token ${secret} --now`);
  for (const name of [
    'DB_PASSWORD',
    'POSTGRES_PASSWORD',
    'SMTP_PASS_WORD_PASSWORD',
    'JWT_SECRET',
    'SECRET_KEY_BASE',
    'API_KEY',
    'APP_CLIENT_SECRET',
    'ENCRYPTION_KEY',
  ])
    within(`.env: ${name}`, `${alnum(23)}7`, (secret) => `${name}=${secret}`);
  within('password in quotes', `Tr0ub4dor&${alnum(3)}`, (secret) => `password: '${secret}'`);
  within('password in XML', `Corr3ct!${alnum(4)}`, (secret) => `<password>${secret}</password>`);
  for (const [issuer, value] of [
    ['DATADOG_API_KEY', of(LOW, 40)],
    ['ALGOLIA_ADMIN_KEY', of(LOW, 32)],
    ['CLOUDFLARE_API_TOKEN', of(LOW, 40)],
    ['okta_api_token', `00${alnum(40)}`],
    ['TWITCH_CLIENT_SECRET', of(LOW, 30)],
    ['mailchimp_key', `${hex(32)}-us21`],
    ['SNYK_TOKEN', uuid()],
    ['zendesk', of(LOW, 40)],
  ] as const)
    within(`named: ${issuer}`, value, (secret) => `${issuer}=${secret}`);
  return planted;
}

/** The places of secrets in memories. */
export const PLACES: Readonly<Record<string, (text: string) => string>> = {
  'in prose': (text) => `It worked with ${text} in the end.`,
  'in a JSON column': (text) => JSON.stringify(['Looked at the log', `Found\n${text}\nin it`]),
  'after an escaped line feed': (text) => `the log says \\n${text.replaceAll('\n', '\\n')}\\n and ends`,
  'in quotes': (text) => `const value = ${JSON.stringify(text)};`,
  'in JSON in a JSON column': (text) => JSON.stringify([JSON.stringify({ said: `so:\t${text}` })]),
  'in an address': (text) => `see https://example.org/a?value=${text}&b=1`,
  'in YAML': (text) => `settings:\n  value: ${text}\n  other: 1`,
  'in JSON': (text) => `{"value": ${JSON.stringify(text)}, "n": 1}`,
  'in an environment': (text) => `export THE_VALUE=${text}\nexport OTHER=1`,
};
