import { randomBytes } from 'node:crypto';
import { errorMessage, MembridgeError } from '../../contract/errors.ts';
import { WebhookSecret } from '../../contract/tasks/webhooks.ts';
import { addSetting } from '../../db/queries/add-setting.ts';
import { readSettings } from '../../db/queries/read-settings.ts';
import { byEngine, configAuditEntry, type AuditBy } from '../../db/queries/record-audit.ts';
import { writeSettings } from '../../db/queries/write-settings.ts';
import type { Config } from '../config.ts';
import type { Deps } from '../deps.ts';
import { seal, unseal } from '../auth/sealed.ts';

const SETTING_KEY = 'webhook_secret';
/** The context for which it is sealed. */
const SEALING_CONTEXT = 'setting:webhook_secret';

type SecretDeps = Pick<Deps, 'db' | 'now'> & { readonly config: Pick<Config, 'signingKey'> };

/**
 * Returns the secret that signs webhooks; makes it at the first request.
 * @throws MembridgeError conflict when it cannot be opened, because it was sealed under another signing key
 */
export async function readWebhookSecret(deps: SecretDeps): Promise<WebhookSecret> {
  const sealed = (await readStored(deps)) ?? (await makeFirst(deps));
  try {
    return WebhookSecret.parse(JSON.parse(unseal(deps.config.signingKey, sealed, SEALING_CONTEXT)));
  } catch (error) {
    throw new MembridgeError('conflict', errorMessage(error), { cause: error });
  }
}

/** Makes a new secret, which signs everything sent from now on. */
export async function rotateWebhookSecret(deps: SecretDeps, by: AuditBy): Promise<WebhookSecret> {
  const { db, now, config } = deps;
  const made = makeSecret(now());
  await writeSettings(db, {
    values: { [SETTING_KEY]: seal(config.signingKey, JSON.stringify(made), SEALING_CONTEXT) },
    audit: configAuditEntry('webhook_secret_rotated', 'webhooks are signed with a new secret', by, now()),
  });
  return made;
}

async function makeFirst(deps: SecretDeps): Promise<string> {
  const { db, now, config } = deps;
  await addSetting(db, {
    key: SETTING_KEY,
    value: seal(config.signingKey, JSON.stringify(makeSecret(now())), SEALING_CONTEXT),
    audit: configAuditEntry(
      'webhook_secret_made',
      'webhooks are signed with it',
      byEngine('it was needed'),
      now(),
    ),
  });
  // When two processes need it at the same moment, one of them has made it for both.
  const sealed = await readStored(deps);
  if (sealed === undefined) throw new Error('the secret of webhooks was not stored');
  return sealed;
}

const readStored = async ({ db }: SecretDeps): Promise<string | undefined> =>
  (await readSettings(db, { keys: [SETTING_KEY] }))[SETTING_KEY];

const makeSecret = (now: number): WebhookSecret => ({
  secret: `whsec_${randomBytes(32).toString('base64url')}`,
  made_at: now,
});
