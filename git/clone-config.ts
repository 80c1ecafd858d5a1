/**
 * Judges whether the settings of a clone are safe for the agent's git. Any program that ran in the clone may
 * have written them, and many git settings run a command or redirect a connection.
 */
import { execFile } from 'node:child_process';
import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { devNull } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from './environment.ts';

/**
 * Keys without an effect outside the clone, and those that every git of the agent overrides (environment.ts).
 * In lower case.
 */
const ALLOWED_SETTINGS: readonly RegExp[] = [
  /^core\.(?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol|safecrlf|quotepath|untrackedcache|commitgraph|multipackindex|abbrev|longpaths|sparsecheckout|sparsecheckoutcone|compression|preloadindex|whitespace|checkstat|trustctime|editor|protecthfs|protectntfs)$/,
  // Overridden: no hook and no file system monitor runs.
  /^core\.(?:hookspath|fsmonitor|askpass)$/,
  /^extensions\.(?:objectformat|worktreeconfig|relativeworktrees|refstorage|noop)$/,
  /^remote\..*\.(?:url|fetch|push|pushurl|tagopt|prune|prunetags|skipfetchall|mirror|gh-resolved)$/,
  /^remote\.pushdefault$/,
  /^branch\..*$/,
  /^submodule\..*\.(?:url|active|branch|ignore|fetchrecursesubmodules)$/,
  /^submodule\.(?:active|recurse|fetchjobs)$/,
  /^(?:user|author|committer)\.(?:name|email|signingkey)$/,
  /^(?:alias|advice|color|column|gui|gitk|index|gc|maintenance|pack|push|pull|rebase|rerere|status|log|feature|clean|init|help|versionsort|worktree|vscode|github|hub|gitflow)\..*$/,
  /^(?:commit|tag)\.(?:gpgsign|template|cleanup|verbose|status|sort|forcesignannotated)$/,
  /^fetch\.(?:prune|prunetags|parallel|writecommitgraph|showforcedupdates|recursesubmodules|unpacklimit)$/,
  /^merge\.(?:ff|conflictstyle|autostash|stat|log|renames|verifysignatures)$/,
  /^diff\.(?:renames|algorithm|colormoved|mnemonicprefix|noprefix|context)$/,
  /^gpg\.format$/,
  /^lfs\.(?:repositoryformatversion|.*\.access)$/,
];

/**
 * Finds settings of a clone that could run a command, redirect a connection or use files outside the clone.
 * The check has git read each settings file as a plain file, so the settings have no effect.
 * @returns the keys, and files that do not belong in our clones; empty when there are none
 */
export async function findOddSettings(path: string): Promise<string[]> {
  const own = await gitDirOf(path);
  if (own === null) return [];
  const common = await commonDirOf(own);
  const odd: string[] = [];
  for (const file of [
    join(common, 'config'),
    join(own, 'config.worktree'),
    join(common, 'config.worktree'),
  ]) {
    odd.push(...(await findOddKeys(file, () => false)));
  }
  if (await isFilled(join(common, 'objects', 'info', 'alternates'))) odd.push('objects/info/alternates');
  for (const module of await listModulesBelow(join(common, 'modules'))) {
    const inClone = (key: string, value: string): boolean =>
      key === 'core.worktree' && isInside(path, resolve(module, value));
    const keys = await findOddKeys(join(module, 'config'), inClone);
    const name = relative(common, module);
    odd.push(...keys.map((key) => `${key} (${name})`));
    if (await isFilled(join(module, 'objects', 'info', 'alternates')))
      odd.push(`objects/info/alternates (${name})`);
  }
  return [...new Set(odd)];
}

/** Returns the sentence for a clone that is left alone because of its settings. */
export function oddSettingsSentence(path: string, odd: readonly string[]): string {
  const named = odd.slice(0, 5).join(', ') + (odd.length > 5 ? ` and ${odd.length - 5} more` : '');
  const key = odd.find((each) => !each.startsWith('objects/') && !each.includes(' ('));
  const mend = key === undefined ? '' : `, for example by: git -C ${path} config --unset-all ${key}`;
  return `left as it is: its .git holds settings that the agent does not accept: ${named}. They could run a command or send a credential to another server. Remove them${mend}. Set what you need for your user instead (git config --global)`;
}

async function findOddKeys(file: string, isFine: (key: string, value: string) => boolean): Promise<string[]> {
  if (!(await isFilled(file))) return [];
  const args = ['config', '--file', file, '--no-includes', '--list', '-z'];
  const env = { ...gitEnvironment(process.env), GIT_CONFIG_GLOBAL: devNull, GIT_CONFIG_NOSYSTEM: '1' };
  const text = await promisify(execFile)('git', args, { cwd: '/', env, maxBuffer: 16_000_000 }).then(
    ({ stdout }) => stdout,
    // Settings that git cannot read cannot be judged.
    () => null,
  );
  if (text === null) return [`${file} (not readable)`];
  const entries = text.split('\0').filter((entry) => entry !== '');
  return entries.flatMap((entry) => {
    const at = entry.indexOf('\n');
    const [key, value] = at === -1 ? [entry, 'true'] : [entry.slice(0, at), entry.slice(at + 1)];
    const lower = key.toLowerCase();
    if (isFine(lower, value)) return [];
    return ALLOWED_SETTINGS.some((pattern) => pattern.test(lower)) ? [] : [key];
  });
}

/** Returns the location of the clone's own `.git`; null when it cannot be read. */
async function gitDirOf(path: string): Promise<string | null> {
  const dotGit = join(path, '.git');
  const found = await stat(dotGit).catch(() => null);
  if (found === null) return null;
  if (found.isDirectory()) return await realpath(dotGit);
  const [, named] = /^gitdir: (.+?)\s*$/.exec(await readFile(dotGit, 'utf8').catch(() => '')) ?? [];
  return named === undefined ? null : resolve(path, named);
}

/** Returns the repository of a linked worktree, which holds its settings. */
async function commonDirOf(gitDir: string): Promise<string> {
  const named = (await readFile(join(gitDir, 'commondir'), 'utf8').catch(() => '')).trim();
  return named === '' ? gitDir : resolve(gitDir, named);
}

/** Returns the git folder of every submodule; names may contain slashes, and submodules may be nested. */
async function listModulesBelow(folder: string, deepest = 8): Promise<string[]> {
  const entries = deepest === 0 ? [] : await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries.filter((each) => each.isDirectory())) {
    const here = join(folder, entry.name);
    if (await isFilled(join(here, 'HEAD')))
      found.push(here, ...(await listModulesBelow(join(here, 'modules'), deepest - 1)));
    else found.push(...(await listModulesBelow(here, deepest - 1)));
  }
  return found;
}

const isFilled = async (file: string): Promise<boolean> =>
  ((await stat(file).catch(() => null))?.size ?? 0) > 0;

function isInside(path: string, other: string): boolean {
  const inside = relative(path, other);
  return inside !== '' && !inside.startsWith('..') && dirname(inside) !== '..';
}
