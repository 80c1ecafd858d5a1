import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { makeGitNode, type GitNode } from './node.ts';
import { startGitServers, type GitServers } from './servers.ts';

/** What a test file about clones works with. */
export interface GitFixture {
  /** Run for the whole file; nothing is wrong with them when a test begins. */
  readonly servers: GitServers;
  /** A new one for each test. */
  readonly node: GitNode;
  /** Counts the tests, so that each has repositories of its own. */
  readonly number: number;
}

/** Starts git servers for the file that calls it, and gives each of its tests a node. Call it before other hooks of the file. */
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
