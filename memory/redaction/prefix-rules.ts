/**
 * Secrets with a prefix of their issuer. Derived from the formats that gitleaks publishes:
 *
 * - github.com/gitleaks/gitleaks, config/gitleaks.toml as of commit b58d3f102cf3a2c84cb7f923d05c25c9b1aed84b
 *   (after v8.30.0; the file is of 2025-11-20), read on 2026-11-29.
 * - MIT License, Copyright (c) 2019 Zachary Rice: see NOTICE.
 *
 * The rules are rewritten to begin at a keyword and to run in linear time. Rules from the first rule set
 * (first-rules.ts) match as they did there.
 */
export type PrefixRule = readonly [
  /** The name in the secret's replacement: `[redacted:name]`. */
  name: string,
  /** Possible beginnings of the secret, in lower case, separated by spaces. */
  keywords: string,
  /**
   * A pattern that begins at the keyword. Only its last part may have any length, so that it cannot fail
   * after a long match.
   */
  pattern: string,
  options?: PrefixOptions,
];

/** Further conditions of a rule. */
export interface PrefixOptions {
  /** Minimum bits per character of the secret; words have fewer. */
  readonly entropy?: number;
  /** How many characters before the keyword the secret begins. */
  readonly back?: number;
}

const HEX_ID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

export const PREFIX_RULES: readonly PrefixRule[] = [
  // From the first rule set.
  ['anthropic-key', 'sk-ant-', 'sk-ant-[A-Za-z0-9_-]{20,}'],
  ['openai-key', 'sk-', 'sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{40,}'],
  ['github-token', 'ghp_ gho_ ghu_ ghs_ ghr_', 'gh[pousr]_[A-Za-z0-9]{36,}'],
  ['github-token', 'github_pat_', 'github_pat_[A-Za-z0-9_]{50,}'],
  ['gitlab-token', 'glpat-', 'glpat-[A-Za-z0-9_-]{20,}(?:\\.[0-9a-z]{2}\\.?[0-9a-z]{7,9})?'],
  ['aws-key', 'akia asia', '(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9_])'],
  ['google-key', 'aiza', 'AIza[A-Za-z0-9_-]{35}'],
  ['slack-token', 'xox', 'xox[abeoprs]-[A-Za-z0-9-]{10,}'],
  ['stripe-key', 'sk_live_ rk_live_', '[rs]k_live_[A-Za-z0-9]{20,}'],
  ['npm-token', 'npm_', 'npm_[A-Za-z0-9]{36}(?![A-Za-z0-9_])'],
  // Source code and packages.
  ['gitlab-token', 'glptt- gldt- glft- glsoat-', '(?:glptt|gldt|glft|glsoat)-[A-Za-z0-9_-]{20,}'],
  ['gitlab-token', 'glrt- glrtr- glcbt- glagent-', 'gl(?:rtr?|cbt|agent)-[A-Za-z0-9_.-]{20,}'],
  ['gitlab-token', 'glimt- gloas- glffct-', 'gl(?:imt|oas|ffct)-[A-Za-z0-9_-]{20,}'],
  ['gitlab-token', 'gr1348941', 'GR1348941[A-Za-z0-9_-]{20,}'],
  ['gitlab-session', '_gitlab_session=', '_gitlab_session=([0-9a-z]{32,})'],
  ['atlassian-token', 'atatt3 atctt3 atstt3', 'AT(?:AT|CT|ST)T3[A-Za-z0-9_=-]{60,}'],
  ['bitbucket-token', 'atbb', 'ATBB[A-Za-z0-9_=-]{24,200}', { entropy: 3 }],
  ['npm-token', '_authtoken=', '_authToken=([A-Za-z0-9_.+/=-]{16,})'],
  [
    'pypi-token',
    'pypi-ageichlwas5vcmc pypi-agen',
    'pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,}',
  ],
  ['rubygems-key', 'rubygems_', 'rubygems_[a-f0-9]{48}'],
  ['clojars-token', 'clojars_', 'CLOJARS_[a-z0-9]{60}'],
  ['docker-token', 'dckr_pat_ dckr_oat_', 'dckr_[po]at_[A-Za-z0-9_-]{20,}'],
  ['artifactory-key', 'akcp', 'AKCp[A-Za-z0-9]{69,}'],
  ['artifactory-key', 'cmvmd', 'cmVmd[A-Za-z0-9]{59}', { entropy: 4 }],
  ['nuget-key', 'oy2', 'oy2[a-z0-9]{43}(?![A-Za-z0-9])'],
  ['sourcegraph-token', 'sgp_', 'sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}'],
  ['postman-key', 'pmak-', 'PMAK-[a-fA-F0-9]{24}-[a-fA-F0-9]{34}'],
  ['pulumi-token', 'pul-', 'pul-[a-f0-9]{40}'],
  ['terraform-token', '.atlasv1.', '[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{60,}', { back: 14 }],
  ['sonar-token', 'squ_ sqp_ sqa_', 'sq[upa]_[a-f0-9]{40}'],
  ['octopus-key', 'api-', 'API-[A-Z0-9]{26}(?![A-Za-z0-9])', { entropy: 3.2 }],
  ['prefect-token', 'pnu_', 'pnu_[A-Za-z0-9]{36}'],
  ['readme-token', 'rdme_', 'rdme_[a-z0-9]{70}'],
  ['infracost-token', 'ico-', 'ico-[A-Za-z0-9]{32}(?![A-Za-z0-9])', { entropy: 3 }],
  ['buildkite-token', 'bkua_', 'bkua_[a-f0-9]{40}'],
  ['circleci-token', 'ccipat_ ccipatf_', 'CCIPATF?_[A-Za-z0-9_]{30,}'],
  // Clouds.
  ['aws-key', 'a3t abia acca', '(?:A3T[A-Z0-9]|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9_])'],
  ['aws-bedrock-key', 'absk', 'ABSK[A-Za-z0-9+/]{109,}={0,2}'],
  ['aws-bedrock-key', 'bedrock-api-key-', 'bedrock-api-key-[A-Za-z0-9+/]{40,}={0,2}'],
  ['aws-signature', 'x-amz-signature=', 'X-Amz-Signature=([a-f0-9]{64})'],
  ['google-oauth-secret', 'gocspx-', 'GOCSPX-[A-Za-z0-9_-]{28}'],
  ['google-oauth-token', 'ya29.', 'ya29\\.[A-Za-z0-9_-]{30,}'],
  ['google-refresh-token', '1//0', '1//0[A-Za-z0-9_-]{40,}'],
  [
    'azure-client-secret',
    '0q~ 1q~ 2q~ 3q~ 4q~ 5q~ 6q~ 7q~ 8q~ 9q~',
    '[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}',
    { back: 3 },
  ],
  [
    'azure-storage-key',
    'accountkey= sharedaccesskey=',
    '(?:Account|SharedAccess)Key=([A-Za-z0-9+/]{40,}={0,2})',
  ],
  ['azure-signature', 'sig=', 'sig=([A-Za-z0-9+/%]{40,120}(?:={0,2}))', { entropy: 4 }],
  ['digitalocean-token', 'dop_v1_ doo_v1_ dor_v1_', 'do[opr]_v1_[a-f0-9]{64}'],
  ['alibaba-key', 'ltai', 'LTAI[A-Za-z0-9]{20}(?![A-Za-z0-9])', { entropy: 3 }],
  ['tencent-key', 'akid', 'AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])', { entropy: 3 }],
  ['yandex-key', 'aqvn', 'AQVN[A-Za-z0-9_-]{35,38}'],
  ['yandex-token', 't1.', 't1\\.[A-Za-z0-9_-]{10,300}={0,2}\\.[A-Za-z0-9_-]{86}={0,2}'],
  ['ibm-key', 'apikey-ibm', 'apikey-ibm[A-Za-z0-9_-]{34,}'],
  ['cloudflare-ca-key', 'v1.0-', 'v1\\.0-[a-f0-9]{24}-[a-f0-9]{146}'],
  ['heroku-key', 'hrku-aa', 'HRKU-AA[A-Za-z0-9_-]{58}'],
  ['flyio-token', 'fo1_ fm1a_ fm1r_ fm2_', '(?:fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,}={0,3})'],
  ['netlify-token', 'nfp_', 'nfp_[A-Za-z0-9_]{36,}'],
  ['vercel-token', 'vercel_blob_rw_ vcp_', '(?:vercel_blob_rw|vcp)_[A-Za-z0-9_]{24,}'],
  ['supabase-token', 'sbp_ sb_secret_', '(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})'],
  [
    'planetscale-token',
    'pscale_tkn_ pscale_oauth_ pscale_pw_',
    'pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_=.-]{32,}',
  ],
  ['databricks-token', 'dapi', 'dapi[a-f0-9]{32}(?:-[0-9])?'],
  ['openshift-token', 'sha256~', 'sha256~[A-Za-z0-9_-]{43}'],
  ['scalingo-token', 'tk-us-', 'tk-us-[A-Za-z0-9_-]{48}'],
  ['vault-token', 'hvs. hvb. hvr.', 'hv[sbr]\\.[A-Za-z0-9_-]{24,}'],
  [
    'doppler-token',
    'dp.pt. dp.st. dp.ct. dp.sa.',
    'dp\\.(?:pt|st|ct|sa)\\.(?:[a-z0-9_-]{2,35}\\.)?[A-Za-z0-9]{40,}',
  ],
  [
    'onepassword-key',
    'a3-',
    'A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}',
  ],
  ['onepassword-token', 'ops_eyj', 'ops_eyJ[A-Za-z0-9+/]{250,}={0,3}'],
  ['age-key', 'age-secret-key-1', 'AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}'],
  ['tailscale-key', 'tskey-', 'tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,40}-[A-Za-z0-9]{20,}'],
  ['defined-networking-token', 'dnkey-', 'dnkey-[A-Za-z0-9_=-]{26}-[A-Za-z0-9_=-]{52}'],
  // Language models.
  ['model-key', 'sk-', 'sk-[a-f0-9]{32}(?![A-Za-z0-9])'],
  ['huggingface-token', 'hf_ api_org_', '(?:hf|api_org)_[A-Za-z]{34,40}(?![A-Za-z0-9_])', { entropy: 3.5 }],
  ['groq-key', 'gsk_', 'gsk_[A-Za-z0-9]{40,}'],
  ['xai-key', 'xai-', 'xai-[A-Za-z0-9]{70,}'],
  ['perplexity-key', 'pplx-', 'pplx-[A-Za-z0-9]{40,}'],
  ['replicate-token', 'r8_', 'r8_[A-Za-z0-9]{37}'],
  ['langsmith-key', 'lsv2_', 'lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}'],
  // Payment and shops.
  [
    'stripe-key',
    'sk_test_ rk_test_ sk_prod_ rk_prod_ sk_live_ rk_live_',
    '[rs]k_(?:test|live|prod)_[A-Za-z0-9]{10,}',
  ],
  ['stripe-webhook-secret', 'whsec_', 'whsec_[A-Za-z0-9+/]{24,}={0,2}'],
  ['square-token', 'sq0atp- sq0csp- eaaa', '(?:sq0atp-|sq0csp-|EAAA)[A-Za-z0-9_-]{22,80}', { entropy: 3.5 }],
  ['paypal-token', 'access_token$production$', 'access_token\\$production\\$[a-z0-9]{16}\\$[a-f0-9]{32}'],
  ['shopify-token', 'shpat_ shpca_ shppa_ shpss_', 'shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}'],
  ['shippo-token', 'shippo_', 'shippo_(?:live|test)_[a-fA-F0-9]{40}'],
  ['easypost-key', 'ezak eztk', 'EZ[AT]K[A-Za-z0-9]{54}'],
  ['flutterwave-key', 'flwseck_ flwseck-', 'FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,32}(?:-X)?'],
  ['duffel-token', 'duffel_test_ duffel_live_', 'duffel_(?:test|live)_[A-Za-z0-9_=-]{43}'],
  [
    'plaid-token',
    'access-sandbox- access-development- access-production-',
    `access-(?:sandbox|development|production)-${HEX_ID}`,
  ],
  // Messages, mail, files.
  ['slack-token', 'xoxe.xox', 'xoxe\\.xox[bp]-[0-9]-[A-Za-z0-9]{100,}'],
  ['slack-token', 'xapp-', 'xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{6,20}-[a-z0-9]{30,}'],
  [
    'slack-webhook',
    'hooks.slack.com/',
    'hooks\\.slack\\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{40,})',
  ],
  [
    'discord-webhook',
    'discord.com/api/webhooks/ discordapp.com/api/webhooks/',
    'discord(?:app)?\\.com/api/webhooks/[0-9]{15,22}/([A-Za-z0-9_-]{60,})',
  ],
  [
    'teams-webhook',
    '.webhook.office.com/webhookb2/',
    `\\.webhook\\.office\\.com/webhookb2/(${HEX_ID}@${HEX_ID}/IncomingWebhook/[a-z0-9]{32}/${HEX_ID})`,
  ],
  ['telegram-token', ':aa', '[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])', { back: 10 }],
  ['telegram-token', ':aa', '[0-9]{9}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])', { back: 9 }],
  ['sendgrid-key', 'sg.', 'SG\\.[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,64}'],
  ['brevo-key', 'xkeysib- xsmtpsib-', 'x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}'],
  ['mailgun-key', 'key- pubkey-', '(?<!-)(?:pub)?key-[a-f0-9]{32}(?![A-Za-z0-9])'],
  ['resend-key', 're_', 're_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}(?![A-Za-z0-9])', { entropy: 3.5 }],
  [
    'twilio-key',
    'sk0 sk1 sk2 sk3 sk4 sk5 sk6 sk7 sk8 sk9 ska skb skc skd ske skf',
    'SK[0-9a-fA-F]{32}(?![A-Za-z0-9])',
    { entropy: 3 },
  ],
  ['dropbox-token', 'sl.', 'sl\\.(?:u\\.)?[A-Za-z0-9_=-]{130,}'],
  ['frameio-token', 'fio-u-', 'fio-u-[A-Za-z0-9_=-]{64}'],
  ['typeform-token', 'tfp_', 'tfp_[A-Za-z0-9_.=-]{59}'],
  ['facebook-token', 'eaac eaam', 'EAA[MC][A-Za-z0-9]{100,}'],
  // Work and monitoring.
  ['linear-key', 'lin_api_ lin_oauth_', 'lin_(?:api|oauth)_[A-Za-z0-9]{40,}'],
  ['notion-token', 'ntn_', 'ntn_[0-9]{11}[A-Za-z0-9]{35}'],
  ['notion-token', 'secret_', 'secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])', { entropy: 4 }],
  ['harness-key', 'pat. sat.', '[ps]at\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9]{24}\\.[A-Za-z0-9]{20}'],
  ['figma-token', 'figd_', 'figd_[A-Za-z0-9_-]{40,}'],
  ['grafana-key', 'eyjrijoi', 'eyJrIjoi[A-Za-z0-9]{70,}={0,3}'],
  ['grafana-token', 'glc_', 'glc_[A-Za-z0-9+/]{32,}={0,3}'],
  ['grafana-token', 'glsa_', 'glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}'],
  ['dynatrace-token', 'dt0c01.', 'dt0c01\\.[A-Za-z0-9]{24}\\.[A-Za-z0-9]{64}'],
  ['newrelic-key', 'nrak- nrii- nrjs-', 'NR(?:AK|II|JS)-[A-Za-z0-9-]{19,32}'],
  ['sentry-token', 'sntryu_', 'sntryu_[a-f0-9]{64}'],
  ['sentry-token', 'sntrys_', 'sntrys_eyJ[A-Za-z0-9+/=_]{60,}'],
  ['launchdarkly-key', 'sdk-', `sdk-${HEX_ID}`],
  ['intra42-secret', 's-s4t2ud- s-s4t2af-', 's-s4t2(?:ud|af)-[a-f0-9]{64}'],
  ['adobe-secret', 'p8e-', 'p8e-[A-Za-z0-9]{32}'],
  ['maxmind-key', '_mmk', '[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk', { back: 36 }],
  ['clickhouse-key', '4b1d', '4b1d[A-Za-z0-9]{38}(?![A-Za-z0-9])', { entropy: 4 }],
  ['settlemint-token', 'sm_aat_ sm_pat_ sm_sat_', 'sm_[aps]at_[A-Za-z0-9]{16}'],
  [
    'authress-key',
    'authress_ scauth_',
    '(?:sc)?auth(?:ress)?_[a-z0-9]{5,30}\\.[a-z0-9]{4,6}\\.acc[_-][a-z0-9-]{10,32}\\.[A-Za-z0-9+/_=-]{30,}',
  ],
  [
    'ansible-vault',
    '$ansible_vault;',
    '\\$ANSIBLE_VAULT;[0-9.]{3,5};AES256(?:;[^\\s]{1,64})?\\s{1,4}[0-9a-f\\s]{80,}',
  ],
];
