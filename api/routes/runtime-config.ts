import { RuntimeConfig, SaveRuntimeConfig, TestConnectionResponse } from '../../contract/runtime-config.ts';
import type { Deps } from '../deps.ts';
import { auditByCaller } from '../auth/actor.ts';
import { abortOnDisconnect } from '../remote/abort-on-disconnect.ts';
import { describeConnection } from '../remote/describe-connection.ts';
import { maskKey, readTarget, saveTarget } from '../remote/kept-target.ts';
import { testConnection } from '../remote/test-connection.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Runtime';

/** The original's limit. */
const TESTS_PER_MINUTE = 20;

async function show(deps: Deps): Promise<RuntimeConfig> {
  const { url, adminKey, adminKeyProblem, lastTest } = await readTarget(deps);
  const connection = describeConnection(deps);
  return {
    membridge_server_url: url ?? '',
    admin_key_masked: maskKey(adminKey),
    connected: connection.connected,
    last_test: lastTest?.at ?? null,
    last_test_error: lastTest?.error ?? null,
    admin_key_problem: adminKeyProblem,
    in_use: connection.remote,
    connection,
  };
}

export const runtimeConfigRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/runtime/config',
    auth: 'people',
    tag,
    summary: 'Get the configured remote control plane, and the state of the connection',
    status: 200,
    response: RuntimeConfig,
    handle: async (_call, deps) => await show(deps),
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/config',
    auth: 'people',
    tag,
    summary: 'Set the remote control plane: its address, its admin key, or both',
    description:
      'An absent field does not change. The key is stored encrypted, and never shown again. Only a runtime-only process (MEMBRIDGE_ROLES=runtime) uses it; other processes just store it.',
    body: SaveRuntimeConfig,
    status: 200,
    response: RuntimeConfig,
    handle: async ({ body, caller }, deps) => {
      const { membridge_server_url: url, admin_key: key } = body;
      await saveTarget(deps, { url, adminKey: key === '' ? undefined : key, by: auditByCaller(caller) });
      return await show(deps);
    },
  }),
  defineRoute({
    method: 'post',
    path: '/api/runtime/test-connection',
    auth: 'people',
    tag,
    summary: 'Test the configured control plane and its key; always 200',
    status: 200,
    response: TestConnectionResponse,
    errors: { 429: 'More than 20 tests in a minute' },
    perMinute: TESTS_PER_MINUTE,
    handle: async ({ res, caller }, deps) =>
      await testConnection(deps, abortOnDisconnect(res), auditByCaller(caller)),
  }),
];
