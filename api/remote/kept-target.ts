import { errorMessage, MembridgeError } from '../../contract/errors.ts';
import { configAuditEntry, type AuditBy } from '../../db/queries/record-audit.ts';
import { readSettings } from '../../db/queries/read-settings.ts';
import { writeSettings } from '../../db/queries/write-settings.ts';
import type { Deps } from '../deps.ts';
import { seal, unseal } from '../auth/sealed.ts';
import { parseBaseUrl } from './base-url.ts';
import type { RemoteTarget } from './client.ts';

/** The names of the settings, which are the original's. `admin_key` is sealed. */
const SETTING_KEYS = ['membridge_server_url', 'admin_key', 'last_test', 'last_test_error'] as const;
/** The context for which the key is sealed. */
const SEALING_CONTEXT = 'setting:admin_key';

type KeepDeps = Pick<Deps, 'config' | 'db'>;

/** The remote control plane as people set it, or otherwise the environment. */
export interface KeptTarget {
  readonly url: string | null;
  readonly adminKey: string | null;
  /** Why a key that people set cannot be used. */
  readonly adminKeyProblem: string | null;
  /** The last test of the connection: its time in epoch ms, and its error. */
  readonly lastTest: { readonly at: number; readonly error: string | null } | null;
}

/** Reads the settings. Another process may have changed them, so nothing is cached. */
export async function readTarget({ config, db }: KeepDeps): Promise<KeptTarget> {
  const kept = await readSettings(db, { keys: SETTING_KEYS });
  const lastTest = testOf(kept.last_test, kept.last_test_error);
  const common = { url: kept.membridge_server_url ?? config.controlPlaneUrl, lastTest };
  // MEMBRIDGE_ADMIN_KEY names the remote control plane's key only in a runtime-only process, and only for the address
  // from the environment. In other processes it is the process's own key, which no other control plane accepts.
  const isTheirs = common.url !== null && originOf(common.url) === originOf(config.controlPlaneUrl);
  const fromEnvironment = config.roles.has('control') || !isTheirs ? null : config.adminKey;
  if (kept.admin_key === undefined || kept.admin_key === '')
    return { ...common, adminKey: fromEnvironment, adminKeyProblem: null };
  try {
    return {
      ...common,
      adminKey: unseal(config.signingKey, kept.admin_key, SEALING_CONTEXT),
      adminKeyProblem: null,
    };
  } catch (error) {
    return { ...common, adminKey: null, adminKeyProblem: errorMessage(error) };
  }
}

function testOf(at: string | undefined = '', error: string | undefined = ''): KeptTarget['lastTest'] {
  return at === '' ? null : { at: Number(at), error: error === '' ? null : error };
}

const originOf = (url: string | null): string | null =>
  url !== null && URL.canParse(url) ? new URL(url).origin : null;

/**
 * Sets the address, the key, or both; an absent field does not change. A key is valid only for the origin that it was
 * set for: an address with another origin and no new key drops it. The result of the last test is dropped as well.
 * @throws MembridgeError bad_request for an invalid address
 */
export async function saveTarget(
  { config, db, now }: KeepDeps & Pick<Deps, 'now'>,
  input: { url: string | undefined; adminKey: string | undefined; by: AuditBy },
): Promise<void> {
  const url = input.url === undefined ? undefined : parseBaseUrl(input.url.trim());
  if (url === null) {
    const problem = 'must be an http(s) URL without a user name, query or fragment';
    throw new MembridgeError('bad_request', `membridge_server_url ${problem}.`, {
      fields: [{ field: 'membridge_server_url', problem }],
    });
  }
  const before = (await readTarget({ config, db })).url;
  const moves = url !== undefined && before !== null && originOf(url) !== originOf(before);
  const set = [
    ...(url === undefined ? [] : [`membridge_server_url ${url}`]),
    ...(input.adminKey === undefined ? [] : ['admin_key']),
  ];
  const detail = `${set.join(' and ')} set${moves && input.adminKey === undefined ? '; the key of the former address was dropped' : ''}`;
  await writeSettings(db, {
    audit: configAuditEntry('config_updated', detail, input.by, now()),
    values: {
      last_test: '',
      ...(moves ? { admin_key: '' } : {}),
      ...(url === undefined ? {} : { membridge_server_url: url }),
      ...(input.adminKey === undefined
        ? {}
        : { admin_key: seal(config.signingKey, input.adminKey, SEALING_CONTEXT) }),
    },
  });
}

/** Stores the result of a test. */
export async function saveTest(
  { db }: KeepDeps,
  test: { at: number; error: string | null; by: AuditBy },
): Promise<void> {
  const { at, error, by } = test;
  await writeSettings(db, {
    values: { last_test: String(at), last_test_error: error ?? '' },
    audit: configAuditEntry('connection_test', error ?? 'connected', by, at),
  });
}

/**
 * Returns the control plane to call.
 * @throws MembridgeError control_plane_refused when no address is set, or the key cannot be opened
 */
export function requireTarget(kept: KeptTarget): RemoteTarget {
  if (kept.url === null) {
    throw new MembridgeError(
      'control_plane_refused',
      'No control plane is set. Set its address and admin key under Runtime, Settings, or MEMBRIDGE_SERVER_URL and MEMBRIDGE_ADMIN_KEY.',
    );
  }
  if (kept.adminKeyProblem !== null) throw new MembridgeError('control_plane_refused', kept.adminKeyProblem);
  return { url: kept.url, adminKey: kept.adminKey };
}

/** Returns a key as it may be shown: nothing of a short one. */
export function maskKey(key: string | null): string {
  if (key === null) return '';
  return key.length <= 8 ? '****' : `${key.slice(0, 4)}****${key.slice(-4)}`;
}
