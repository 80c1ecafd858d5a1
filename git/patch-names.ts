/** Checks that the headers of a patch name consistent files, and that git changed only those. */

/**
 * Enough for two names of the longest allowed path with each character quoted. Parsing takes time quadratic
 * in the length.
 */
const MAX_HEADER_CHARS = 10_000;

interface Section {
  /** The text after `diff --git `; null for a patch without such lines. */
  readonly header: string | null;
  /** Undefined when there is no such line; null for /dev/null. */
  minus?: string | null;
  plus?: string | null;
  from?: string;
  to?: string;
}

/**
 * Checks the names in a patch: rejects lines of one file that name another, unreadable names and binary
 * parts.
 * @param patch the proposed patch
 * @returns `problem`: the end of a sentence that says what is wrong. Otherwise `names` of all files, and
 * `hasMoves`: whether any is a rename or copy, whose text is not in the patch
 */
export function readPatchNames(
  patch: string,
): { readonly problem: string } | { readonly names: ReadonlySet<string>; readonly hasMoves: boolean } {
  const names = new Set<string>();
  let hasMoves = false;
  for (const section of sectionsOf(patch)) {
    if (typeof section === 'string') return { problem: section };
    const found = namesOf(section);
    if (typeof found === 'string') return { problem: found };
    for (const name of found) names.add(name);
    hasMoves ||= section.from !== undefined;
  }
  return { names, hasMoves };
}

/** Reads the headers. Counts lines of hunks as git does, so that content is never taken for a header. */
function sectionsOf(patch: string): (Section | string)[] {
  const sections: (Section | string)[] = [];
  let current: Section | null = null;
  let [before, after] = [0, 0];
  for (const line of patch.split('\n')) {
    if (before > 0 || after > 0) {
      const sign = line.charAt(0);
      if (sign === '\\') continue;
      if (sign !== '+') before -= 1;
      if (sign !== '-') after -= 1;
      continue;
    }
    const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
    if (hunk !== null) {
      [before, after] = [Number(hunk[1] ?? 1), Number(hunk[2] ?? 1)];
    } else if (line.startsWith('diff --git ')) {
      sections.push((current = { header: line.slice('diff --git '.length) }));
    } else if (
      line.startsWith('--- ') &&
      (current === null || current.header === null || current.minus !== undefined)
    ) {
      sections.push((current = { header: null, minus: pathOf(line) }));
    } else if (current !== null) {
      if (line.startsWith('GIT binary patch'))
        sections.push('it contains a binary patch, which cannot be reviewed');
      else readHeader(current, line);
    }
  }
  return sections;
}

function readHeader(section: Section, line: string): void {
  const [, what = '', name = ''] = /^(--- |\+\+\+ |(?:rename|copy) (?:from|to) )(.*)$/s.exec(line) ?? [];
  if (what === '--- ') section.minus = pathOf(line);
  else if (what === '+++ ') section.plus = pathOf(line);
  else if (what.endsWith('from ')) section.from = unquoted(name);
  else if (what.endsWith('to ')) section.to = unquoted(name);
}

/** Returns the names in one file's section, or why they disagree. */
function namesOf(section: Section): string[] | string {
  const { header, minus, plus, from, to } = section;
  if ((header?.length ?? 0) > MAX_HEADER_CHARS) return 'one of its headers is too long';
  const disagree = (one: string, other: string): string =>
    `its headers name different files for one change: ${JSON.stringify(one)} and ${JSON.stringify(other)}`;
  const before = minus == null ? undefined : withoutPrefix(minus);
  const after = plus == null ? undefined : withoutPrefix(plus);
  if (from !== undefined && before !== undefined && before !== from) return disagree(from, before);
  if (to !== undefined && after !== undefined && after !== to) return disagree(to, after);
  if ((from === undefined) !== (to === undefined)) return 'it names only one side of a rename or copy';
  if (from === undefined && before !== undefined && after !== undefined && before !== after)
    return disagree(before, after);
  const old = from ?? before ?? after;
  const now = to ?? after ?? before;
  if (header === null) return old === undefined || now === undefined ? 'a header names no file' : [old, now];
  if (old === undefined || now === undefined) {
    const same = listSplits(header).find(([a, b]) => a === b);
    return same === undefined
      ? `the names in "diff --git ${header}" differ, and no other line names the file`
      : [same[0]];
  }
  const agrees = listSplits(header).some(([a, b]) => a === old && b === now);
  return agrees ? [old, now] : disagree(`diff --git ${header}`, old === now ? old : `${old} → ${now}`);
}

/**
 * Returns every way to split the two names after `diff --git `, because unquoted names may contain blanks.
 */
function listSplits(header: string): [string, string][] {
  const found: [string, string][] = [];
  for (let at = header.indexOf(' '); at !== -1; at = header.indexOf(' ', at + 1)) {
    const [a, b] = [unquoted(header.slice(0, at)), unquoted(header.slice(at + 1))];
    found.push([withoutPrefix(a), withoutPrefix(b)]);
  }
  return found;
}

/** Returns the path of a `---` or `+++` line; null for `/dev/null`. A time may follow after a tab. */
function pathOf(line: string): string | null {
  const text = line.slice(4);
  const name = text.startsWith('"') ? unquoted(text.replace(/\t[^"]*$/, '')) : (text.split('\t')[0] ?? '');
  return name.trimEnd() === '/dev/null' ? null : name;
}

/** Removes the one-letter prefix that git's diffs put before a name. */
const withoutPrefix = (name: string): string => name.replace(/^[a-z]\//, '');

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  '"': 34,
  '\\': 92,
};

/** Decodes a name: quoted names use C escapes, per byte. */
function unquoted(name: string): string {
  const inside = /^"((?:[^"\\]|\\.)*)"$/s.exec(name)?.[1];
  if (inside === undefined) return name;
  const bytes: Buffer[] = [];
  for (const [, octal, escape, plain] of inside.matchAll(/\\([0-3][0-7]{2})|\\(.)|([^\\]+)/gsu)) {
    if (octal !== undefined) bytes.push(Buffer.of(Number.parseInt(octal, 8)));
    else if (escape !== undefined) bytes.push(Buffer.of(ESCAPES[escape] ?? escape.charCodeAt(0)));
    else bytes.push(Buffer.from(plain ?? ''));
  }
  return Buffer.concat(bytes).toString('utf8');
}
