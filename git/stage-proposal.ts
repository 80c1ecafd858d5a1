/** Puts what a proposal changes into the index of a temporary clone, and refuses what must not get there. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MembridgeError } from '../contract/errors.ts';
import { pathProblem } from '../contract/projects/proposal-content.ts';
import { tellingLine } from './failures.ts';
import type { Git } from './git.ts';
import { readPatchNames } from './patch-names.ts';

/** The branch as it is, and what is to change. */
interface Stage {
  readonly branch: string;
  /** The commit that the index was read from. */
  readonly head: string;
  readonly content: Buffer;
}

const [SYMLINK, SUBMODULE, FOLDER, EXECUTABLE] = ['120000', '160000', '040000', '100755'] as const;

/** What lies beside the temporary clone's own files, in its folder of git's. */
const CONTENT = 'membridge-content';

/**
 * Applies a patch to the index: as it is, else by merging with the versions that it names.
 * @throws MembridgeError patch_rejected, also for one that touches links, submodules or git's own files
 */
export async function stagePatch(git: Git, { branch, head, content }: Stage): Promise<void> {
  const named = readPatchNames(content.toString('utf8'));
  if ('problem' in named) throw rejected(branch, head, named.problem);
  const file = await keep(git, content);
  // By merging only when it must be: older gits cannot merge in the index alone.
  const plain = await git.look('apply', '--cached', '--', file);
  if (plain.code !== 0) {
    await git.ask('read-tree', '--reset', head);
    const merged = await git.look('apply', '--cached', '--3way', '--', file);
    const unmerged = await git.look('ls-files', '--unmerged');
    if (merged.code !== 0 || unmerged.stdout !== '') {
      throw rejected(branch, head, whyNot(plain.stderr));
    }
  }
  const touched = await refuseOddEntries(git, branch, head);
  // Whatever git made of the headers, nothing may change that they do not name.
  const unnamed = touched.find((path) => !named.names.has(path));
  if (unnamed !== undefined) {
    throw rejected(
      branch,
      head,
      `git would change ${JSON.stringify(unnamed)}, which no header of the patch names`,
    );
  }
}

/**
 * Puts the new text of one file into the index; its mode stays.
 * @throws MembridgeError patch_rejected for a path that is none, or leads through a link or submodule
 */
export async function stageFile(git: Git, stage: Stage & { path: string | null }): Promise<void> {
  const { branch, head, content } = stage;
  const path = stage.path ?? '';
  const wrong = path === '' ? 'is missing' : pathProblem(path);
  if (wrong !== null) throw rejected(branch, head, `the path ${JSON.stringify(path)} ${wrong}`);
  if (content.includes(0)) throw rejected(branch, head, `the text of ${path} has a NUL in it`);
  const parts = path.split('/');
  let mode = '100644';
  for (let length = 1; length <= parts.length; length += 1) {
    const here = parts.slice(0, length).join('/');
    const found = await modeOf(git, head, here);
    if (found === null) break;
    const isLast = length === parts.length;
    if (found === SYMLINK || found === SUBMODULE) {
      throw rejected(branch, head, `${here} is a ${found === SYMLINK ? 'symbolic link' : 'submodule'}`);
    }
    if (isLast === (found === FOLDER)) {
      throw rejected(branch, head, `${here} is a ${isLast ? 'folder' : 'file'}`);
    }
    if (isLast && found === EXECUTABLE) mode = EXECUTABLE;
  }
  const blob = await git.ask('hash-object', '-w', '--no-filters', '--', await keep(git, content));
  await git.ask('update-index', '--add', '--cacheinfo', `${mode},${blob},${path}`);
  await refuseOddEntries(git, branch, head);
}

async function keep(git: Git, content: Buffer): Promise<string> {
  const file = join(await git.ask('rev-parse', '--absolute-git-dir'), CONTENT);
  await writeFile(file, content);
  return file;
}

/** The mode of what is at a path of a commit; null where nothing is. */
async function modeOf(git: Git, head: string, path: string): Promise<string | null> {
  const { stdout } = await git.look('--literal-pathspecs', 'ls-tree', '-z', head, '--', path);
  return /^(\d{6}) /.exec(stdout)?.[1] ?? null;
}

/** What is staged may change plain files alone, wherever git itself would let it be. @returns the paths of what changes */
async function refuseOddEntries(git: Git, branch: string, head: string): Promise<string[]> {
  const touched: string[] = [];
  const { stdout } = await git.look('diff-index', '--cached', '--no-renames', '-z', head);
  const fields = stdout.split('\0');
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = '', newMode = ''] = (fields[at] ?? '').slice(1).split(' ');
    const path = fields[at + 1] ?? '';
    if (oldMode === SUBMODULE || newMode === SUBMODULE) {
      throw rejected(branch, head, `${path} is a submodule, which is not proposed`);
    }
    if (newMode === SYMLINK) throw rejected(branch, head, `${path} would be a symbolic link`);
    const wrong = path.includes('\uFFFD') ? 'is not UTF-8' : pathProblem(path);
    if (wrong !== null) throw rejected(branch, head, `the path ${JSON.stringify(path)} ${wrong}`);
    touched.push(path);
  }
  return touched;
}

/** What git says of a patch that does not fit, by file. */
function whyNot(stderr: string): string {
  const errors = [...stderr.matchAll(/^error: (.+)$/gm)].map(([, text = '']) => text);
  return errors.length === 0 ? tellingLine(stderr) : errors.slice(0, 3).join('; ');
}

function rejected(branch: string, head: string, why: string): MembridgeError {
  return new MembridgeError(
    'patch_rejected',
    `The proposal cannot be applied to ${branch} at ${head.slice(0, 8)}: ${why.slice(0, 1_000)}.`,
  );
}
