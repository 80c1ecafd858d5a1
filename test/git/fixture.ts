import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { makeGitNode, type GitNode } from './node.ts';
import { startGitServers, type GitServers } from './servers.ts';

/** What a test file about clones needs. */
export interface GitFixture {
  /** Started once for the whole file; at the start of a test they cause no trouble. */
  readonly servers: GitServers;
  /** A new one for each test. */
  readonly node: GitNode;
  /** Counts the tests, so that each has its own repositories. */
  readonly number: number;
}

/**
 * Starts git servers for the calling file, and makes a node for each of its tests. Call it before other hooks of the
 * file.
 */
export function useGit(): GitFixture {
  let servers: GitServers;
  let node: GitNode;
  let number = 0;
  beforeAll(async () => {
    servers = await startGitServers();
  });
  afterAll(async () => await servers.stop());
  beforeEach(() => {
    node = makeGitNode();
    number += 1;
  });
  afterEach(() => {
    servers.open.trouble = { kind: 'none' };
    node.remove();
  });
  return {
    get servers() {
      return servers;
    },
    get node() {
      return node;
    },
    get number() {
      return number;
    },
  };
}
