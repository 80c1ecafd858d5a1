import { parseGitUrl } from '../../../../contract/projects/git-url.ts';
import type {
  CreateManagedProject,
  ProjectFacts,
  UpdateManagedProject,
} from '../../../../contract/projects/projects.ts';

/** A project's settings as a form edits them. */
export interface ProjectDraft {
  readonly name: string;
  readonly repoUrl: string;
  readonly branch: string;
  /** Mantine's number field holds text while an unfinished number is typed. */
  readonly depth: number | string;
  readonly submodules: boolean;
  readonly targetPath: string;
  readonly primary: string | null;
  readonly space: string | null;
  readonly tags: readonly string[];
  readonly newNodes: boolean;
}

export const EMPTY_DRAFT: ProjectDraft = {
  name: '',
  repoUrl: '',
  branch: '',
  depth: '',
  submodules: false,
  targetPath: '',
  primary: null,
  space: null,
  tags: [],
  newNodes: false,
};

/** Returns a project's present settings for editing. */
export function toDraft(project: ProjectFacts): ProjectDraft {
  return {
    name: project.name,
    repoUrl: project.repo_url,
    branch: project.branch ?? '',
    depth: project.depth ?? '',
    submodules: project.submodules,
    targetPath: project.target_path ?? '',
    primary: project.primary_node_id,
    space: project.space,
    tags: project.tags,
    newNodes: project.new_nodes,
  };
}

const orNull = (text: string): string | null => (text.trim() === '' ? null : text.trim());

/** Returns the body that makes a project from a draft. The API reports what is wrong with it. */
export function toCreateBody(draft: ProjectDraft): CreateManagedProject {
  return {
    name: draft.name.trim(),
    repo_url: draft.repoUrl.trim(),
    branch: orNull(draft.branch),
    depth: draft.depth === '' ? null : Number(draft.depth),
    submodules: draft.submodules,
    target_path: orNull(draft.targetPath),
    primary_node_id: draft.primary,
    space: draft.space,
    tags: [...draft.tags],
    new_nodes: draft.newNodes,
  };
}

/** Returns only the fields that a draft changes, so that it does not undo somebody's change of another field. */
export function findChanges(project: ProjectFacts, draft: ProjectDraft): UpdateManagedProject {
  const before = toCreateBody(toDraft(project));
  const after = toCreateBody(draft);
  const changed = Object.entries(after).filter(
    ([field, value]) => JSON.stringify(value) !== JSON.stringify((before as Record<string, unknown>)[field]),
  );
  return Object.fromEntries(changed);
}

/** The fields that show their own problems. */
export const DRAFT_FIELDS = [
  'name',
  'repo_url',
  'branch',
  'depth',
  'submodules',
  'target_path',
  'primary_node_id',
  'space',
  'tags',
  'new_nodes',
] as const;

/** Those of them that are among the options, which may be collapsed. */
export const OPTION_FIELDS = DRAFT_FIELDS.slice(2);

/** Returns a name for a project from its address, in the alphabet of names; empty when the address has none. */
export function suggestName(repoUrl: string): string {
  try {
    const last =
      parseGitUrl(extractSecret(repoUrl)?.address ?? repoUrl.trim())
        .path.split('/')
        .at(-1) ?? '';
    return last.replaceAll(/[^A-Za-z0-9_. -]+/g, '-').replaceAll(/^[^A-Za-z0-9_]+|[^A-Za-z0-9_-]+$/g, '');
  } catch {
    return '';
  }
}

/** Returns the kind of credential that an address needs. */
export function credentialKind(repoUrl: string): 'ssh-key' | 'token' {
  try {
    return parseGitUrl(repoUrl.trim()).protocol === 'ssh' ? 'ssh-key' : 'token';
  } catch {
    return /^ssh:|^[^/:@]+@/i.test(repoUrl.trim()) ? 'ssh-key' : 'token';
  }
}

/**
 * Returns the secret that was typed into an address, and the address without it.
 * @returns null when there is none
 */
export function extractSecret(repoUrl: string): { address: string; username: string; token: string } | null {
  const text = repoUrl.trim();
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.username === '' && url.password === '') return null;
  const [first, second] = [decodeOrKeep(url.username), decodeOrKeep(url.password)];
  url.username = '';
  url.password = '';
  // A single part is the token: hosts write https://TOKEN@host/path.
  return second === ''
    ? { address: url.href, username: '', token: first }
    : { address: url.href, username: first, token: second };
}

function decodeOrKeep(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
