import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { parseConfigEnv, readConfigEnv } from './config-env.ts';

const HOME = '/home/ada';
const FILE = '/home/ada/.claude-mem-minio/config.env';
const value = (text: string): string | undefined => parseConfigEnv(text, FILE, HOME).get('KEY')?.value;

describe('a value', () => {
  it.each([
    ['KEY=plain', 'plain'],
    ['export KEY=plain', 'plain'],
    ['  KEY=plain   # a comment', 'plain'],
    ['KEY=with#hash', 'with#hash'],
    ['KEY=', ''],
    ['KEY=a=b', 'a=b'],
    ['KEY=$HOME/.claude-mem/claude-mem.db', '/home/ada/.claude-mem/claude-mem.db'],
    // oxlint-disable-next-line no-template-curly-in-string
    ['KEY="${HOME}/a b"', '/home/ada/a b'],
    ["KEY='$HOME'", '$HOME'],
    ['KEY=~/x', '/home/ada/x'],
    ['KEY="~/x"', '~/x'],
    ['KEY=a~b', 'a~b'],
    ['KEY="a\\"b\\\\c\\n"', 'a"b\\c\\n'],
    ['KEY=a\\ b', 'a b'],
    [`KEY="$HOME"'/lit$eral'/end`, '/home/ada/lit$eral/end'],
    ['DIR=/srv\nKEY=$DIR/db', '/srv/db'],
    ['KEY=first\nKEY=second', 'second'],
    ['KEY=windows\r\n', 'windows'],
  ])('reads %j as bash does', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it.each([
    ['KEY=$(cat /etc/passwd)', /line 1: KEY .*"\$"/],
    ['# one\nKEY=`id`', /line 2: KEY .*nothing is run/],
    ['KEY=$OTHER', /line 1: KEY uses \$OTHER, which is not set/],
    ['KEY=a b', /line 1: KEY has a blank/],
    ['KEY=a;rm', /line 1: KEY has a ";"/],
    ['KEY="open', /line 1: KEY has a quote that does not end/],
    ["KEY='open", /line 1: KEY has a quote that does not end/],
    ['KEY=more\\', /line 1: KEY continues on the next line/],
    ['source other.env', /line 1: it is not an assignment/],
    ['KEY = spaced', /line 1: it is not an assignment/],
    ['if [ -f x ]; then', /line 1: it is not an assignment/],
  ])('refuses %j, naming file, line and key', (text, message) => {
    expect(() => value(text)).toThrow(message);
    expect(() => value(text)).toThrow(FILE);
  });
});

describe('a file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'membridge-config-env-'));
    path = join(folder, 'config.env');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const EXAMPLE = `# the original's example
MINIO_ENDPOINT=https://minio.example
MINIO_ACCESS_KEY=key
MINIO_SECRET_KEY='s3cr$t'
MINIO_BUCKET=claude-memory

CLAUDE_PROJECT_ID=mem
CLAUDE_MEM_DB=$HOME/.claude-mem/claude-mem.db
LOCK_TTL_SECONDS=3600
FORCE_PUSH=0
`;

  it('provides the original’s store, project and lock settings, and stays unchanged', () => {
    writeFileSync(path, EXAMPLE);
    utimesSync(path, 1_000, 2_000);
    chmodSync(path, 0o400);
    const before = statSync(path, { bigint: true });
    expect(readConfigEnv(path, HOME)).toEqual({
      access: {
        endpoint: 'https://minio.example',
        region: 'us-east-1',
        bucket: 'claude-memory',
        access_key: 'key',
        secret_key: 's3cr$t',
      },
      projectId: 'mem',
      cid: canonicalId('mem'),
      databasePath: '/home/ada/.claude-mem/claude-mem.db',
      lockSeconds: 3_660,
      force: false,
    });
    expect(readFileSync(path, 'utf8')).toBe(EXAMPLE);
    const after = statSync(path, { bigint: true });
    expect([after.mtimeNs, after.ctimeNs, after.mode]).toEqual([before.mtimeNs, before.ctimeNs, before.mode]);
  });

  it('lets the environment override the push lock settings, as the original’s hooks do', () => {
    const lock = 'LOCK_TTL_SECONDS=600\nSTALE_LOCK_GRACE_SECONDS=30\nFORCE_PUSH=1\n';
    writeFileSync(path, `${EXAMPLE}\n${lock}`);
    expect(readConfigEnv(path, HOME, {})).toMatchObject({ lockSeconds: 630, force: true });
    const environment = { FORCE_PUSH: '0', STALE_LOCK_GRACE_SECONDS: '5', LOCK_TTL_SECONDS: '' };
    expect(readConfigEnv(path, HOME, environment)).toMatchObject({ lockSeconds: 605, force: false });
  });

  it('names missing and invalid settings, never their values', () => {
    writeFileSync(
      path,
      EXAMPLE.replace('https://minio.example', 'secret.example').replace(/^MINIO_BUCKET.*$/m, ''),
    );
    expect(() => readConfigEnv(path, HOME)).toThrow(
      /line 2: MINIO_ENDPOINT must be a full URL.*; MINIO_BUCKET is not set/,
    );
    expect(() => readConfigEnv(path, HOME)).not.toThrow(/secret\.example|s3cr/);
    expect(() => readConfigEnv(join(folder, 'none'), HOME)).toThrow(/none cannot be read/);
  });
});
