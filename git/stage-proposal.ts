/** Stages a proposal's changes in the index of a temporary clone, and rejects forbidden ones. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import { pathProblem } from '../contract/projects/proposal-content.ts';
import { findTellingLine } from './failures.ts';
import type { Git } from './git.ts';
import { readPatchNames } from './patch-names.ts';

/** The current branch, and the change. */
interface Stage {
  readonly branch: string;
  /** The commit that the index was read from. */
  readonly head: string;
  readonly content: Buffer;
}

const [SYMLINK, SUBMODULE, FOLDER, EXECUTABLE] = ['120000', '160000', '040000', '100755'] as const;

/** Name of a temporary file in the temporary clone's git folder. */
const CONTENT_FILE = 'membridge-content';

/**
 * Applies a patch to the index: unchanged, else by merging with the versions that it names.
 * @throws MembridgeError patch_rejected, also for a patch that touches links, submodules or git's own files
 */
export async function stagePatch(git: Git, { branch, head, content }: Stage): Promise<void> {
  const named = readPatchNames(content.toString('utf8'));
  if ('problem' in named) throw rejectedPatch(branch, head, named.problem);
  const file = await keep(git, content);
  // Merge only when necessary: older versions of git cannot merge in the index alone.
  const plain = await git.look('apply', '--cached', '--', file);
  if (plain.code !== 0) {
    await git.ask('read-tree', '--reset', head);
    const merged = await git.look('apply', '--cached', '--3way', '--', file);
    const unmerged = await git.look('ls-files', '--unmerged');
    if (merged.code !== 0 || unmerged.stdout !== '') {
      throw rejectedPatch(branch, head, readConflicts(plain.stderr));
    }
  }
  const touched = await refuseOddEntries(git, branch, head);
  // However git read the headers, nothing else may change than they name.
  const unnamed = touched.find((path) => !named.names.has(path));
  if (unnamed !== undefined) {
    throw rejectedPatch(
      branch,
      head,
      `git would change ${JSON.stringify(unnamed)}, which no header of the patch names`,
    );
  }
}

/**
 * Stages the new text of one file; its mode stays.
 * @throws MembridgeError patch_rejected for an invalid path, or one that leads through a link or submodule
 */
export async function stageFile(git: Git, stage: Stage & { path: string | null }): Promise<void> {
  const { branch, head, content } = stage;
  const path = stage.path ?? '';
  const wrong = path === '' ? 'is missing' : pathProblem(path);
  if (wrong !== null) throw rejectedPatch(branch, head, `the path ${JSON.stringify(path)} ${wrong}`);
  if (content.includes(0)) throw rejectedPatch(branch, head, `the text of ${path} has a NUL in it`);
  const parts = path.split('/');
  let mode = '100644';
  for (let length = 1; length <= parts.length; length += 1) {
    const here = parts.slice(0, length).join('/');
    const found = await modeOf(git, head, here);
    if (found === null) break;
    const isLast = length === parts.length;
    if (found === SYMLINK || found === SUBMODULE) {
      throw rejectedPatch(branch, head, `${here} is a ${found === SYMLINK ? 'symbolic link' : 'submodule'}`);
    }
    if (isLast === (found === FOLDER)) {
      throw rejectedPatch(branch, head, `${here} is a ${isLast ? 'folder' : 'file'}`);
    }
    if (isLast && found === EXECUTABLE) mode = EXECUTABLE;
  }
  const blob = await git.ask('hash-object', '-w', '--no-filters', '--', await keep(git, content));
  await git.ask('update-index', '--add', '--cacheinfo', `${mode},${blob},${path}`);
  await refuseOddEntries(git, branch, head);
}

async function keep(git: Git, content: Buffer): Promise<string> {
  const file = join(await git.ask('rev-parse', '--absolute-git-dir'), CONTENT_FILE);
  await writeFile(file, content);
  return file;
}

/** Returns the mode of a path in a commit; null when there is none. */
async function modeOf(git: Git, head: string, path: string): Promise<string | null> {
  const { stdout } = await git.look('--literal-pathspecs', 'ls-tree', '-z', head, '--', path);
  return /^(\d{6}) /.exec(stdout)?.[1] ?? null;
}

/**
 * Rejects staged changes of anything but plain files, even where git itself would accept them.
 * @returns the changed paths
 */
async function refuseOddEntries(git: Git, branch: string, head: string): Promise<string[]> {
  const touched: string[] = [];
  const { stdout } = await git.look('diff-index', '--cached', '--no-renames', '-z', head);
  const fields = stdout.split('\0');
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = '', newMode = ''] = (fields[at] ?? '').slice(1).split(' ');
    const path = fields[at + 1] ?? '';
    if (oldMode === SUBMODULE || newMode === SUBMODULE) {
      throw rejectedPatch(branch, head, `${path} is a submodule, which is not proposed`);
    }
    if (newMode === SYMLINK) throw rejectedPatch(branch, head, `${path} would be a symbolic link`);
    const wrong = path.includes('\uFFFD') ? 'is not UTF-8' : pathProblem(path);
    if (wrong !== null) throw rejectedPatch(branch, head, `the path ${JSON.stringify(path)} ${wrong}`);
    touched.push(path);
  }
  return touched;
}

/** Returns git's messages about a patch that does not apply, by file. */
function readConflicts(stderr: string): string {
  const errors = [...stderr.matchAll(/^error: (.+)$/gm)].map(([, text = '']) => text);
  return errors.length === 0 ? findTellingLine(stderr) : errors.slice(0, 3).join('; ');
}

function rejectedPatch(branch: string, head: string, why: string): MembridgeError {
  return new MembridgeError(
    'patch_rejected',
    `The proposal cannot be applied to ${branch} at ${head.slice(0, 8)}: ${why.slice(0, 1_000)}.`,
  );
}
