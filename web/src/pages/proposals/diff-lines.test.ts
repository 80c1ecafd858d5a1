import { describe, expect, it } from 'vitest';
import { readDiff, type DiffFile } from './diff-lines.ts';

const PATCH = `diff --git a/src/greet.ts b/src/greet.ts
index 1111111..2222222 100644
--- a/src/greet.ts
+++ b/src/greet.ts
@@ -1,4 +1,4 @@ export
 one
--- a line of SQL
+++ of another
 three
 four
@@ -10 +10,2 @@
-ten
+TEN
+eleven
\\ No newline at end of file
diff --git a/old.md b/new.md
similarity index 100%
rename from old.md
rename to new.md
diff --git a/notes b/notes
new file mode 100644
--- /dev/null
+++ b/notes
@@ -0,0 +1 @@
+hello
`;

const drawn = ({ lines }: DiffFile) =>
  lines.map(({ kind, before, after, text }) => `${kind} ${before ?? '-'} ${after ?? '-'} ${text}`);

describe('a unified diff', () => {
  const files = readDiff(PATCH);

  it('is split by files, with the change of each', () => {
    expect(
      files.map(({ path, from, change, added, removed }) => [path, from, change, added, removed]),
    ).toEqual([
      ['src/greet.ts', null, 'changed', 3, 2],
      ['new.md', 'old.md', 'renamed', 0, 0],
      ['notes', null, 'new', 1, 0],
    ]);
  });

  it('numbers its lines as the old and the new file do, and never reads a hunk’s line as a head', () => {
    expect(drawn(files[0] as DiffFile)).toEqual([
      'hunk - - @@ -1,4 +1,4 @@ export',
      'same 1 1 one',
      'removed 2 - -- a line of SQL',
      'added - 2 ++ of another',
      'same 3 3 three',
      'same 4 4 four',
      'hunk - - @@ -10 +10,2 @@',
      'removed 10 - ten',
      'added - 10 TEN',
      'added - 11 eleven',
      'note - - \\ No newline at end of file',
    ]);
  });

  it('starts a file at the lines of diff(1)', () => {
    const two = readDiff(
      '--- a.txt\t2026-01-01\n+++ a.txt\n@@ -1 +1 @@\n-x\n+y\n--- b.txt\n+++ b.txt\n@@ -1 +0,0 @@\n-x\n',
    );
    expect(two.map(({ path, added, removed }) => [path, added, removed])).toEqual([
      ['a.txt', 1, 1],
      ['b.txt', 0, 1],
    ]);
  });

  it('starts the next file at git’s line even after a miscounted hunk', () => {
    const files = readDiff(
      'diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,9 +1,9 @@\n-x\n+y\ndiff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-x\n+z\n',
    );
    expect(files.map(({ path, added, removed }) => [path, added, removed])).toEqual([
      ['a', 1, 1],
      ['b', 1, 1],
    ]);
  });

  it('is shown even when it is not a diff', () => {
    expect(readDiff('no diff at all\n').map(drawn)).toEqual([['note - - no diff at all']]);
  });

  it('keeps an empty line that lost its blank', () => {
    expect(readDiff('--- a\n+++ a\n@@ -1,3 +1,2 @@\n a\n\n-c\n').map(drawn)).toEqual([
      ['hunk - - @@ -1,3 +1,2 @@', 'same 1 1 a', 'same 2 2 ', 'removed 3 - c'],
    ]);
  });
});
