import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import { diffSections } from '../../../../contract/projects/review-marks.ts';
import type { ProposedFile, ReviewMark } from '../../../../contract/projects/proposals.ts';
import { VisibleText } from '../../components/VisibleText.tsx';
import { count, counted } from '../../format/numbers.ts';
import { readDiff, type DiffFile, type DiffLine } from './diff-lines.ts';
import styles from './Diff.module.css';

/** The most lines of a diff that are drawn at first. */
const MAX_LINES = 4_000;

const SIGNS: Record<DiffLine['kind'], string> = {
  added: '+',
  removed: '−',
  same: '',
  hunk: '',
  note: '',
};
const CHANGES: Record<DiffFile['change'], string> = {
  changed: '',
  new: 'new file',
  deleted: 'deleted',
  renamed: 'renamed',
  binary: 'binary',
};

const MARKS: Record<ReviewMark, string> = {
  runs: 'a program runs or obeys this file',
  deleted: 'the file is removed',
  mode: 'its mode changes',
  executable: 'executable',
  symlink: 'symbolic link',
  submodule: 'submodule',
  hidden: 'has hidden characters',
  binary: 'binary: its content is not shown',
};

interface ReviewedFile extends DiffFile {
  readonly marks: readonly ReviewMark[];
  readonly modes: string;
}

/**
 * Pairs each file that git reports as changed with its lines. The list and the diff have the same order; a changed
 * type has two parts.
 */
function pairFiles(text: string, files: readonly ProposedFile[]): ReviewedFile[] {
  const parts = diffSections(text);
  let at = 0;
  return files.map(({ path, status, marks, old_mode: before, new_mode: after }) => {
    const count = status === 'type_changed' ? 2 : 1;
    const read = parts.slice(at, at + count).flatMap((part) => readDiff(part));
    at += count;
    return {
      path,
      from: null,
      change: status === 'added' ? 'new' : status === 'deleted' ? 'deleted' : 'changed',
      added: read.reduce((sum, each) => sum + each.added, 0),
      removed: read.reduce((sum, each) => sum + each.removed, 0),
      lines: read.flatMap((each) => each.lines),
      marks,
      modes: `${before ?? 'none'} → ${after ?? 'none'}`,
    };
  });
}

/** A unified diff, file by file; added and removed lines differ by sign and color. */
export function Diff({ text, files: said }: { text: string; files: readonly ProposedFile[] }) {
  const files = useMemo(() => pairFiles(text, said), [text, said]);
  const [isWhole, setWhole] = useState(false);
  const drawn = useMemo(() => (isWhole ? files : firstLines(files, MAX_LINES)), [files, isWhole]);
  const cut = isWhole ? 0 : files.reduce((sum, { lines }) => sum + lines.length, 0) - MAX_LINES;
  return (
    <div className={styles.files} data-testid="diff">
      {drawn.map((file, index) => (
        // Two parts of a diff may be about one file.
        // oxlint-disable-next-line react/no-array-index-key
        <File key={index} file={file} />
      ))}
      {cut > 0 && (
        <p className="dim" data-testid="diff-cut">
          {counted(cut, 'further line is', 'further lines are')} not drawn here.{' '}
          <Button size="compact-xs" variant="default" onClick={() => setWhole(true)} data-testid="diff-all">
            Draw all lines
          </Button>
        </p>
      )}
    </div>
  );
}

/** Returns the files with at most that many lines together. */
function firstLines(files: readonly ReviewedFile[], most: number): ReviewedFile[] {
  let room = most;
  return files.map((file) => {
    const lines = file.lines.slice(0, Math.max(0, room));
    room -= lines.length;
    return { ...file, lines };
  });
}

function File({ file }: { file: ReviewedFile }) {
  const { path, change, added, removed, marks } = file;
  return (
    <section className={styles.file} aria-label={path}>
      <header className={styles.head}>
        <code className={styles.path}>
          <VisibleText>{path}</VisibleText>
        </code>
        {CHANGES[change] !== '' && <span className="dim">{CHANGES[change]}</span>}
        {marks.map((mark) => (
          <strong key={mark} className={styles.mark} data-testid={`mark-${mark}`}>
            {mark === 'mode' ? `mode ${file.modes}` : MARKS[mark]}
          </strong>
        ))}
        <span className={styles.sums}>
          <span data-kind="added">+{count(added)}</span> <span data-kind="removed">−{count(removed)}</span>
        </span>
      </header>
      {file.lines.length > 0 && (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
        <div className={styles.scroll} role="group" aria-label={`Changes of ${path}`} tabIndex={0}>
          <table className={styles.table}>
            <thead className="visually-hidden">
              <tr>
                <th scope="col">Line before</th>
                <th scope="col">Line after</th>
                <th scope="col">Change</th>
                <th scope="col">Text</th>
              </tr>
            </thead>
            <tbody>
              {file.lines.map((line, index) => (
                // A diff never changes.
                // oxlint-disable-next-line react/no-array-index-key
                <Line key={index} line={line} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Line({ line }: { line: DiffLine }) {
  const { kind, before, after, text } = line;
  if (kind === 'hunk' || kind === 'note') {
    return (
      <tr data-kind={kind}>
        <td colSpan={4} className={styles.aside}>
          <VisibleText>{text}</VisibleText>
        </td>
      </tr>
    );
  }
  return (
    <tr data-kind={kind}>
      <td className={styles.number}>{before}</td>
      <td className={styles.number}>{after}</td>
      <td className={styles.sign}>{SIGNS[kind]}</td>
      <td className={styles.text}>
        <VisibleText>{text}</VisibleText>
      </td>
    </tr>
  );
}
