/**
 * Secrets without a format of their own, found by the issuer's name before them: `DATADOG_API_KEY=0f3a…`.
 * Derived from gitleaks like those of prefix-rules.ts. Leaves out public ids (clients, applications).
 */
export type AssignedRule = readonly [
  /** The issuer's name as written before a secret, in lower case; several are separated by spaces. */
  issuers: string,
  /** Pattern of the issuer's secrets, case-insensitive. */
  value: string,
];

const HEX_ID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

export const ASSIGNED_RULES: readonly AssignedRule[] = [
  ['adafruit fastly nytimes discord', '[a-z0-9=_-]{32}'],
  ['algolia asana bitbucket bittrex codecov droneci flickr privateai private_ai private-ai', '[a-z0-9]{32}'],
  ['facebook finicity linear adobe', '[a-f0-9]{32}'],
  ['alibaba plaid twitch', '[a-z0-9]{30}'],
  ['atlassian confluence jira', '[a-z0-9]{24}'],
  ['beamer', 'b_[a-z0-9=_-]{44}'],
  ['bitbucket coinbase', '[a-z0-9=_-]{64}'],
  ['cloudflare gitter', '[a-z0-9_-]{40}'],
  ['cloudflare', '[a-f0-9]{37}'],
  ['cohere co_api_key datadog zendesk', '[a-z0-9]{40}'],
  ['confluent freshbooks jfrog artifactory bintray sumo new-relic newrelic new_relic', '[a-z0-9]{64}'],
  ['contentful', '[a-z0-9=_-]{43}'],
  ['discord sentry', '[a-f0-9]{64}'],
  ['dropbox', '[a-z0-9]{11}a{10}[a-z0-9=_-]{43}'],
  ['etsy kucoin looker', '[a-z0-9]{24}'],
  ['finicity finnhub', '[a-z0-9]{20}'],
  ['gocardless', 'live_[a-z0-9=_-]{40}'],
  ['heroku hubspot kucoin messagebird message-bird message_bird sendbird snyk squarespace', HEX_ID],
  ['intercom', '[a-z0-9=_-]{60}'],
  ['jfrog artifactory bintray', '[a-z0-9]{73}'],
  ['kraken', '[a-z0-9/=_+-]{80,90}'],
  ['launchdarkly', '[a-z0-9=_-]{40}'],
  ['linkedin linked-in linked_in', '[a-z0-9]{16}'],
  ['airtable', 'pat[a-z0-9]{14}\\.[a-f0-9]{64}'],
  ['lob_ lob-', '(?:live|test)_[a-f0-9]{35}'],
  ['mailchimp', '[a-f0-9]{32}-us[0-9]{1,2}'],
  ['mailgun', '[a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}'],
  ['mapbox', '[ps]k\\.[a-z0-9]{60,90}\\.[a-z0-9_-]{22}'],
  ['mattermost', '[a-z0-9]{26}'],
  ['messagebird message-bird message_bird twitter', '[a-z0-9]{25}'],
  ['meraki sendbird', '[a-f0-9]{40}'],
  ['netlify', '[a-z0-9=_-]{40,46}'],
  ['okta', '00[a-z0-9=_-]{40}'],
  ['rapidapi', '[a-z0-9_-]{50}'],
  ['sonar', '[a-z0-9=_-]{40}'],
  ['sourcegraph', '[a-f0-9]{40}'],
  ['telegr', '[0-9]{5,16}:a[a-z0-9_-]{34}'],
  ['travis', '[a-z0-9]{22}'],
  ['twitter', '[a-z0-9]{45}'],
  ['twitter', '[a-z0-9]{50}'],
  ['twitter', '[0-9]{15,25}-[a-z0-9]{20,40}'],
  ['twitter', 'a{22}[a-z0-9%]{80,100}'],
  ['yandex', 'yc[a-z0-9_-]{38}'],
  ['contribsys', '[a-f0-9]{8}:[a-f0-9]{8}'],
];
