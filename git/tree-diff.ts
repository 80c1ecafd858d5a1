/**
 * Describes the changes in a tree with git's own diff, unaffected by settings of the repository or the
 * machine's user.
 */
import { join } from 'node:path';
import { devNull } from 'node:os';
import { MembridgeError } from '../contract/errors.ts';
import { diffSections, reviewMarks } from '../contract/projects/review-marks.ts';
import type { ProposedFile } from '../contract/projects/proposals.ts';
import type { Git } from './git.ts';

/** A change as people see it. */
export interface TreeDiff {
  readonly files: ProposedFile[];
  /** git's own diff; renames appear as deleted and added files. */
  readonly diff: string;
}

/** Maximum size of a diff to show to a person; a proposal's own text has at most 1 MiB. */
const MAX_DIFF_BYTES = 4 * 1_048_576;

/** Later settings win over those of every git here. */
const GIT_OPTIONS = [
  `core.attributesFile=${devNull}`,
  'core.quotePath=true',
  'diff.suppressBlankEmpty=false',
  'diff.orderFile=',
].flatMap((setting) => ['-c', setting]);

const STATUS_BY_LETTER = { A: 'added', D: 'deleted', M: 'modified', T: 'type_changed' } as const;

/** Options of every `diff-tree` here. */
const DIFF_OPTIONS = ['-r', '--no-renames', '--no-abbrev', '--no-relative', '--ignore-submodules=none'];

/**
 * Returns the changes of a tree against a commit.
 * @throws MembridgeError patch_rejected for a change that cannot be shown
 */
export async function describeTree(git: Git, base: string, tree: string): Promise<TreeDiff> {
  // A missing index, because git would read attributes from the repository's files in it, and could hide
  // their text as binary.
  const index = join(await git.ask('rev-parse', '--absolute-git-dir'), 'membridge-no-index');
  const apart = git.with({ GIT_INDEX_FILE: index, GIT_ATTR_NOSYSTEM: '1' }, GIT_OPTIONS);
  const tell = async (...args: string[]): Promise<string> => {
    // Not trimmed: the last line of a diff may end with blanks.
    const answer = await apart.look('diff-tree', ...DIFF_OPTIONS, ...args, base, tree);
    if (answer.code !== 0) throw git.failure(answer);
    return answer.stdout;
  };
  const raw = (await tell('--raw', '-z')).split('\0');
  const diff = await tell(
    '--patch',
    '--text',
    '--unified=3',
    '--no-ext-diff',
    '--no-textconv',
    '--no-color',
    '--src-prefix=a/',
    '--dst-prefix=b/',
    '--submodule=short',
    '--diff-algorithm=myers',
  );
  if (Buffer.byteLength(diff) > MAX_DIFF_BYTES) {
    throw new MembridgeError(
      'patch_rejected',
      `The change has more than ${MAX_DIFF_BYTES / 1_048_576} MiB as a diff, too large to review. Split it, or commit it without a proposal.`,
    );
  }
  return { files: markFiles(filesIn(raw), diff), diff };
}

function filesIn(fields: readonly string[]): Omit<ProposedFile, 'marks'>[] {
  const files: Omit<ProposedFile, 'marks'>[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before = '', after = '', , , letter = ''] = (fields[at] ?? '').slice(1).split(' ');
    const status = STATUS_BY_LETTER[letter.charAt(0) as keyof typeof STATUS_BY_LETTER];
    const path = fields[at + 1] ?? '';
    if (status === undefined) throw new Error(`git reports an unknown change "${letter}" of ${path}`);
    files.push({ path, status, old_mode: modeIn(before), new_mode: modeIn(after) });
  }
  return files;
}

const modeIn = (mode: string): string | null => (mode === '000000' ? null : mode);

/**
 * Pairs the files with their parts of the diff, which are in the same order; a file that changes its type has
 * two parts.
 */
function markFiles(files: readonly Omit<ProposedFile, 'marks'>[], diff: string): ProposedFile[] {
  const sections = diffSections(diff);
  let at = 0;
  return files.map((file) => {
    const count = file.status === 'type_changed' ? 2 : 1;
    const section = sections.slice(at, at + count).join('');
    at += count;
    return { ...file, marks: reviewMarks(file, section) };
  });
}
