import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { useGit } from '../test/git/fixture.ts';
import type { Trouble } from '../test/git/http-server.ts';
import { git } from '../test/git/servers.ts';

const made = useGit();

/** A fault of the server, and the expected error. */
const FAULTS: [string, Trouble, { code: string; message: RegExp }][] = [
  [
    'ends in the middle of a pack',
    { kind: 'half', afterBytes: 200_000 },
    { code: 'git_unreachable', message: /broke off/ },
  ],
  [
    'answers with a page',
    { kind: 'page' },
    { code: 'git_unreachable', message: /answers with something that is not git/ },
  ],
  [
    'answers with a page where a pack is due',
    { kind: 'page', method: 'POST' },
    { code: 'git_unreachable', message: /broke off/ },
  ],
  [
    'announces 10 GB and breaks off',
    { kind: 'announce', bytes: 10_000_000_000 },
    { code: 'git_unreachable', message: /broke off/ },
  ],
];

describe('a faulty server', () => {
  it.each(FAULTS)(
    'leaves nothing unfinished when it %s, and the next try works',
    async (_what, trouble, error) => {
      const theirs = made.servers.create(`fault${made.number}`, { bytes: 600_000 });
      const spec = { repoUrl: `${made.servers.open.url}/${theirs.name}.git` };
      made.servers.open.trouble = trouble;
      const failed = await made.node.failure(spec);
      expect([failed.code, failed.retryable], failed.message).toEqual([error.code, true]);
      expect(failed.message).toMatch(error.message);
      expect(made.node.files()).toEqual([]);
      made.servers.open.trouble = { kind: 'none' };
      await made.node.clone(spec);
      const app = join(made.node.base, 'app');
      const before = git(app, 'for-each-ref');
      const packs = readdirSync(join(app, '.git', 'objects', 'pack'));
      git(app, 'config', 'fetch.unpackLimit', '1');
      const commit = theirs.push({ more: randomBytes(600_000) });
      made.servers.open.trouble = trouble;
      expect(await made.node.failure(spec)).toMatchObject({ code: error.code });
      expect(git(app, 'for-each-ref')).toBe(before);
      expect(readdirSync(join(app, '.git', 'objects', 'pack'))).toEqual(packs);
      made.servers.open.trouble = { kind: 'none' };
      expect(await made.node.clone(spec)).toMatchObject({ outcome: 'updated', commit });
    },
  );
});
