import { describe, expect, it } from 'vitest';
import { runEnvironment } from '../../runner/environment.ts';

const SPEC = { taskId: 't', contextId: 'c', agentSlug: 'default' };
const given = (env: Record<string, string>, listed: readonly string[] = []): string[] =>
  Object.keys(runEnvironment(env, SPEC, listed)).filter(
    (name) => !['MEMBRIDGE_TASK_ID', 'MEMBRIDGE_CONTEXT_ID'].includes(name),
  );

describe('S12: the environment of a task', () => {
  it.each([
    'MEMBRIDGE_SIGNING_KEY',
    'MEMBRIDGE_ADMIN_KEY',
    'MEMBRIDGE_ENROL_TOKEN',
    'MINIO_SECRET_KEY',
    'DATABASE_URL',
    'RUNTIME_API_KEY',
    'AWS_SECRET_ACCESS_KEY',
    'GH_TOKEN',
    'GITHUB_TOKEN',
    'NPM_TOKEN',
    'OPENAI_API_KEY',
    'SSH_AUTH_SOCK',
    'NODE_OPTIONS',
    'LD_PRELOAD',
    'GIT_ASKPASS',
    'anthropic_api_key',
    'SOME_COMPANY_PASSWORD',
  ])('does not hold %s', (name) => {
    expect(given({ [name]: 'secret', PATH: '/bin' })).toEqual(['PATH']);
  });

  it('holds what programs need and what the owner lists', () => {
    const env = {
      PATH: '/bin',
      HOME: '/h',
      LC_ALL: 'C',
      https_proxy: 'p',
      ANTHROPIC_API_KEY: 'k',
      AWS_REGION: 'r',
    };
    expect(given(env)).toEqual(['PATH', 'HOME', 'LC_ALL', 'https_proxy', 'ANTHROPIC_API_KEY']);
    expect(given(env, ['AWS_REGION', 'GH_TOKEN'])).toContain('AWS_REGION');
  });

  it('holds no key of Membridge, even if the owner lists it', () => {
    expect(given({ MEMBRIDGE_SIGNING_KEY: 'k' }, ['MEMBRIDGE_SIGNING_KEY'])).toEqual([]);
  });
});
