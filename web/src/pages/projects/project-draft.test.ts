import { describe, expect, it } from 'vitest';
import type { ManagedProject } from '../../../../contract/projects/projects.ts';
import {
  toCreateBody,
  findChanges,
  toDraft,
  EMPTY_DRAFT,
  suggestName,
  extractSecret,
} from './project-draft.ts';

const project = {
  name: 'garden',
  repo_url: 'https://git.example.org/team/garden.git',
  branch: 'main',
  depth: null,
  submodules: false,
  target_path: null,
  primary_node_id: 'laptop',
  space: null,
  tags: ['web'],
  new_nodes: false,
} as unknown as ManagedProject;

describe('the draft of a project’s settings', () => {
  it('leaves out what was not typed', () => {
    const draft = { ...EMPTY_DRAFT, name: ' garden ', repoUrl: ' https://git.example.org/garden ' };
    expect(toCreateBody(draft)).toMatchObject({
      name: 'garden',
      repo_url: 'https://git.example.org/garden',
      branch: null,
      depth: null,
      target_path: null,
    });
  });

  it('changes only what was changed', () => {
    expect(findChanges(project, toDraft(project))).toEqual({});
    const draft = { ...toDraft(project), branch: '', tags: ['web', 'old'], depth: 5 };
    expect(findChanges(project, draft)).toEqual({ branch: null, tags: ['web', 'old'], depth: 5 });
  });
});

it.each([
  ['https://git.example.org/team/garden.git', 'garden'],
  ['git@git.example.org:team/my+site.git', 'my-site'],
  ['https://git.example.org/team/.dotfiles', 'dotfiles'],
  ['https://s3cret@git.example.org/team/garden.git', 'garden'],
  ['https://git.exam', ''],
])('derives a name from %s', (address, name) => expect(suggestName(address)).toBe(name));

it.each([
  ['https://git.example.org/garden', null],
  ['git@git.example.org:garden', null],
  [
    'https://s3cret@git.example.org/garden',
    { address: 'https://git.example.org/garden', username: '', token: 's3cret' },
  ],
  [
    'https://me:s%23t@git.example.org/g',
    { address: 'https://git.example.org/g', username: 'me', token: 's#t' },
  ],
])('finds the secret in %s', (address, found) => expect(extractSecret(address)).toEqual(found));
