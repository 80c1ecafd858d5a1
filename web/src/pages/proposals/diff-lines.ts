/** One line of a unified diff. `note`: what git says about the file or the previous line. */
export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed' | 'hunk' | 'note';
  /** Its number in the old and the new file; null where the file lacks it. */
  readonly before: number | null;
  readonly after: number | null;
  /** Without its sign. */
  readonly text: string;
}

/** The change of one file in a diff. */
export interface DiffFile {
  readonly path: string;
  /** Its former path, when that differs. */
  readonly from: string | null;
  readonly change: 'changed' | 'new' | 'deleted' | 'renamed' | 'binary';
  readonly added: number;
  readonly removed: number;
  readonly lines: readonly DiffLine[];
}

interface Draft {
  before: string | null;
  after: string | null;
  change: DiffFile['change'];
  added: number;
  removed: number;
  lines: DiffLine[];
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/**
 * Reads a unified diff, as git or diff(1) write it. An unknown line becomes a note, so that nothing of a diff is
 * hidden.
 * @param text the whole diff
 */
export function readDiff(text: string): DiffFile[] {
  const files: Draft[] = [];
  // How many lines of the hunk are still to come, old and new; within a hunk, a line's first character decides its
  // meaning.
  let [restBefore, restAfter] = [0, 0];
  let [before, after] = [0, 0];
  const file = (): Draft => files.at(-1) ?? begin();
  const begin = (): Draft => {
    const draft: Draft = { before: null, after: null, change: 'changed', added: 0, removed: 0, lines: [] };
    files.push(draft);
    return draft;
  };
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
  for (const line of lines) {
    if (restBefore > 0 || restAfter > 0) {
      const sign = line.charAt(0);
      const rest = line.slice(1);
      if (sign === '+') {
        file().lines.push({ kind: 'added', before: null, after, text: rest });
        file().added += 1;
        after += 1;
        restAfter -= 1;
        continue;
      }
      if (sign === '-') {
        file().lines.push({ kind: 'removed', before, after: null, text: rest });
        file().removed += 1;
        before += 1;
        restBefore -= 1;
        continue;
      }
      // An editor may have removed the blank of an empty line.
      if (sign === ' ' || line === '') {
        file().lines.push({ kind: 'same', before, after, text: rest });
        before += 1;
        after += 1;
        restBefore -= 1;
        restAfter -= 1;
        continue;
      }
      // Programs miscount: an impossible line ends the hunk, even if its head promised more.
      if (sign !== '\\') [restBefore, restAfter] = [0, 0];
    }
    const hunk = HUNK.exec(line);
    if (hunk !== null) {
      before = Number(hunk[1]);
      after = Number(hunk[3]);
      restBefore = Number(hunk[2] ?? 1);
      restAfter = Number(hunk[4] ?? 1);
      file().lines.push({ kind: 'hunk', before: null, after: null, text: line });
      continue;
    }
    readHead(line, file, begin);
  }
  return files.map(finished);
}

/** Reads a line outside of hunks: what git says about a file. */
function readHead(line: string, file: () => Draft, begin: () => Draft): void {
  const git = /^diff --git "?a\/(.*?)"? "?b\/(.*?)"?$/.exec(line);
  if (git !== null) {
    const draft = begin();
    draft.before = git[1] ?? null;
    draft.after = git[2] ?? null;
    return;
  }
  if (line.startsWith('--- ')) {
    const path = pathIn(line);
    // Without git's own line, this one starts a file.
    const current = file();
    const draft = current.lines.length > 0 ? begin() : current;
    if (path === null) draft.change = 'new';
    else draft.before = path;
    return;
  }
  if (line.startsWith('+++ ')) {
    const path = pathIn(line);
    if (path === null) file().change = 'deleted';
    else file().after = path;
    return;
  }
  if (line.startsWith('new file')) file().change = 'new';
  else if (line.startsWith('deleted file')) file().change = 'deleted';
  else if (line.startsWith('rename ')) file().change = 'renamed';
  else if (/^(Binary files|GIT binary patch)/.test(line)) file().change = 'binary';
  if (/^(index |new file|deleted file|similarity |rename )/.test(line) || line === '') return;
  file().lines.push({ kind: 'note', before: null, after: null, text: line });
}

/** Returns the path in a `---` or `+++` line; null for `/dev/null`. */
function pathIn(line: string): string | null {
  const path = (line.slice(4).split('\t')[0] ?? '').trim().replaceAll(/^"|"$/g, '');
  return path === '/dev/null' ? null : path.replace(/^[ab]\//, '');
}

function finished({ before, after, change, added, removed, lines }: Draft): DiffFile {
  const path = (change === 'deleted' ? before : after) ?? before ?? after ?? '';
  const from = change === 'new' || before === null || before === path ? null : before;
  return { path, from, change, added, removed, lines };
}
