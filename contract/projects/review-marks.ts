import { hasHiddenCharacters } from '../http/hidden-characters.ts';
import type { ProposedFile, ReviewMark } from './proposals.ts';

/**
 * Paths whose content some program runs or obeys automatically: continuous integration, git, agents, editors,
 * containers, builds, shells. Letter case does not count, as on macOS and Windows.
 */
const RUN_PATHS: readonly RegExp[] = [
  // Forges and continuous integration.
  /^\.(?:github|gitlab|gitea|forgejo|circleci|buildkite|woodpecker|semaphore|teamcity|travis)(?:\/|$)/,
  /(?:^|\/)\.(?:gitlab-ci|travis|drone|woodpecker|cirrus|appveyor|pre-commit-config|pre-commit-hooks|lefthook|goreleaser)[^/]*$/,
  /(?:^|\/)(?:azure-pipelines|bitbucket-pipelines|appveyor|cloudbuild|buildspec|lefthook|renovate|jenkinsfile|codeowners)[^/]*$/,
  // git, and hooks that are kept in the repository.
  /(?:^|\/)\.git[^/]*(?:\/|$)/,
  /(?:^|\/)(?:\.husky|\.?githooks|\.?git-hooks|hooks)\//,
  // Settings and instructions of coding assistants.
  /(?:^|\/)\.(?:claude|codex|cursor|gemini|windsurf|continue|aider|mcp|clinerules|roo|agents)[^/]*(?:\/|$)/,
  /(?:^|\/)(?:claude(?:\.local)?|agents|gemini)\.md$/,
  /(?:^|\/)mcp\.json$/,
  // Editors, and what they start automatically.
  /(?:^|\/)\.(?:vscode|idea|devcontainer|fleet|zed|vim|nvim|emacs\.d)(?:\/|$)/,
  /(?:^|\/)(?:\.devcontainer|\.vimrc|\.exrc|\.nvimrc|\.dir-locals|\.lldbinit|\.gdbinit|[^/]*\.code-workspace)[^/]*$/,
  // Containers and machines.
  /(?:^|\/)(?:[^/]*\.)?(?:dockerfile|containerfile|vagrantfile)(?:\.[^/]*)?$/,
  /(?:^|\/)(?:docker-)?compose[^/]*\.ya?ml$/,
  /\.(?:service|timer|socket|plist|tf|desktop)$/,
  // Builds and package managers.
  /(?:^|\/)(?:package(?:-lock)?|npm-shrinkwrap|composer|deno|turbo|nx|lerna)\.jsonc?$/,
  /(?:^|\/)(?:(?:gnu)?makefile|justfile|taskfile|rakefile|procfile|gemfile|pipfile|cmakelists\.txt|guardfile|brewfile|tiltfile|dangerfile)[^/]*$/,
  /\.(?:mk|gradle|gradle\.kts|gemspec|podspec|csproj|targets|props)$/,
  /(?:^|\/)(?:setup\.(?:py|cfg)|pyproject\.toml|tox\.ini|conftest\.py|noxfile\.py|sitecustomize\.py|requirements[^/]*\.txt|build\.rs|cargo\.toml|build\.(?:zig|xml)|pom\.xml|binding\.gyp|workspace|build\.bazel|flake\.nix|default\.nix|shell\.nix)$/,
  /(?:^|\/)\.cargo\//,
  /(?:^|\/)\.(?:npmrc|yarnrc|pnpmfile|yarn|pnp|bazelrc|nvmrc|tool-versions|mise|python-version|envrc|env)[^/]*(?:\/|$)/,
  /(?:^|\/)[^/]*(?:\.config|rc)\.(?:c|m)?[jt]s$/,
  // Shells and scheduled work.
  /(?:^|\/)\.(?:[a-z]*shrc|[a-z_]*profile|[a-z]*sh_(?:login|logout|aliases|env)|zshenv|zlogin|zlogout|inputrc|xinitrc|xsession|netrc|ssh)[^/]*(?:\/|$)/,
  /(?:^|\/)(?:crontab|cron\.[a-z]+)(?:\/|$)/,
];

const [SYMLINK, SUBMODULE, PLAIN, EXECUTABLE] = ['120000', '160000', '100644', '100755'] as const;

/** Returns whether some program runs or obeys a file of this path automatically. */
export function isRunPath(path: string): boolean {
  const lower = path
    .normalize('NFKC')
    .replaceAll(/[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')
    .toLowerCase();
  return RUN_PATHS.some((pattern) => pattern.test(lower));
}

/**
 * Returns why a reader should look twice at a file of a proposal.
 * @param section the file's part of git's own diff
 */
export function reviewMarks(file: Omit<ProposedFile, 'marks'>, section: string): ReviewMark[] {
  const { path, status, old_mode: before, new_mode: after } = file;
  const modes = [before, after];
  return [
    ...(isRunPath(path) ? (['runs'] as const) : []),
    ...(status === 'deleted' ? (['deleted'] as const) : []),
    ...(before !== null && after !== null && before !== after ? (['mode'] as const) : []),
    ...(after === EXECUTABLE ? (['executable'] as const) : []),
    ...(modes.includes(SYMLINK) ? (['symlink'] as const) : []),
    ...(modes.includes(SUBMODULE) ? (['submodule'] as const) : []),
    ...(hasHiddenCharacters(path) || hasHiddenCharacters(addedText(section)) ? (['hidden'] as const) : []),
    ...(/^Binary files /m.test(section) ? (['binary'] as const) : []),
  ];
}

/** Returns whether the diff's text shows a change in full: plain text in plain files, new or changed. */
export function isReadable(file: ProposedFile): boolean {
  const { status, old_mode: before, new_mode: after, marks } = file;
  const isScript = before === EXECUTABLE && after === EXECUTABLE;
  const isPlain = after === PLAIN && (before === null || before === PLAIN);
  return (
    (status === 'added' || status === 'modified') &&
    (isPlain || isScript) &&
    marks.every((mark) => mark === 'executable')
  );
}

/**
 * Splits git's diff into the parts of its files. A content line never starts with `diff --git`: its sign stands
 * before it.
 */
export function diffSections(diff: string): string[] {
  return diff.split(/^(?=diff --git )/m).filter((section) => section !== '');
}

/** Returns the new lines, without their signs. */
const addedText = (section: string): string =>
  section
    .slice(Math.max(0, section.search(/^@@ /m)))
    .split('\n')
    .filter((line) => line.startsWith('+'))
    .map((line) => line.slice(1))
    .join('\n');
