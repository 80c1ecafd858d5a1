import { useMemo } from 'react';
import { count, counted } from '../../format/numbers.ts';
import { readDiff, type DiffFile, type DiffLine } from './diff-lines.ts';
import styles from './Diff.module.css';

/** How many lines of a diff are drawn at most. */
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

/** A unified diff, file by file; what was added and removed by sign and colour. */
export function Diff({ text }: { text: string }) {
  const files = useMemo(() => readDiff(text), [text]);
  const drawn = useMemo(() => firstLines(files, MAX_LINES), [files]);
  const cut = files.reduce((sum, { lines }) => sum + lines.length, 0) - MAX_LINES;
  return (
    <div className={styles.files} data-testid="diff">
      {drawn.map((file, index) => (
        // Two parts of a diff may be about one file.
        // oxlint-disable-next-line react/no-array-index-key
        <File key={index} file={file} />
      ))}
      {cut > 0 && (
        <p className="dim" data-testid="diff-cut">
          {counted(cut, 'further line is', 'further lines are')} not drawn here. The artifact of the task has
          all of them.
        </p>
      )}
    </div>
  );
}

/** The files with so many lines together. */
function firstLines(files: readonly DiffFile[], most: number): DiffFile[] {
  let room = most;
  return files.map((file) => {
    const lines = file.lines.slice(0, Math.max(0, room));
    room -= lines.length;
    return { ...file, lines };
  });
}

function File({ file }: { file: DiffFile }) {
  const { path, from, change, added, removed } = file;
  return (
    <section className={styles.file} aria-label={path}>
      <header className={styles.head}>
        <code className={styles.path}>
          {from !== null && <span className="dim">{from} → </span>}
          {path === '' ? 'patch' : path}
        </code>
        {CHANGES[change] !== '' && <span className="dim">{CHANGES[change]}</span>}
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
          {text}
        </td>
      </tr>
    );
  }
  return (
    <tr data-kind={kind}>
      <td className={styles.number}>{before}</td>
      <td className={styles.number}>{after}</td>
      <td className={styles.sign}>{SIGNS[kind]}</td>
      <td className={styles.text}>{text}</td>
    </tr>
  );
}
