/**
 * The rules for English in this repository, as a check of comments, docstrings, test titles, texts that people read, and Markdown.
 * `node test/prose.ts [PATH ...]` prints each finding under the paths. The test beside this file accepts none: rewrite the text, or
 * add it to `EXCEPTIONS` with a reason.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'vite';

/** A comment sentence holds at most this many words. A span of code or an address counts as one. */
const MAX_WORDS = 25;

/** Where a piece of prose stands. A text is a string or JSX text of three words or more outside tests. */
type Place = 'comment' | 'title' | 'text' | 'markdown';

/** A piece of prose, and the line on which it starts. */
interface Piece {
  readonly place: Place;
  readonly line: number;
  readonly text: string;
}

/** A piece that breaks a rule. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: Rule;
  readonly text: string;
}

/** Phrases that hide the actor or the verb, and what replaces them. */
const BANNED = {
  anew: /\banew\b/i, // again
  told: /\b(?:is|are|was|were|be|been|being) told\b|\btold of\b|\btells? of\b/i, // receives, reports, knows
  'goes on': /\b(?:go|goes|going|went|gone) on\b/i, // continues
  'by itself': /\bby itself\b/i, // automatically, or the actor
  'comes to': /\bcomes? to\b/i, // results in
  'no more': /\bno more\b(?! than)|\b(?:not|n't|never|nothing|nobody)\b[^.]{0,60}\bany ?more\b/i, // no longer
  'of which': /\bof (?:which|whom)\b/i, // a sentence of its own, or "whose"
  'should for if': /(?:^|[.!?:;] )Should\b[^?]*$/, // if
  elsewhere: /\belsewhere\b/i, // the place
  'so many': /\bso (?:many|often)\b/i, // the number
} as const satisfies Record<string, RegExp>;

const TITLE_START =
  /^(?:of|that|by|in|when|as|because|and|although|after|before|between|during|to|until|while|whose|with|without)\b/i;

/** What is refused: a banned phrase, a second "meanwhile" in a file, a sentence that is too long, a title that does not say who does what. */
export type Rule = keyof typeof BANNED | 'meanwhile' | 'long sentence' | 'title start';

/** Where a text that breaks a rule stays, and why. A finding matches when its file ends with `file` and its text holds `text`. */
export const EXCEPTIONS: readonly { file: string; text: string; reason: string }[] = [];

/** Files that are not read. */
const EXCLUDED: readonly { path: RegExp; reason: string }[] = [
  { path: /^workflows\/histories\//, reason: 'recorded by Temporal' },
  { path: /^test\/prose(?:\.test)?\.ts$/, reason: 'names the banned phrases' },
];

/** Returns the tracked files under the paths, or all of them without paths. */
export function proseFiles(paths: readonly string[] = []): string[] {
  const listed = execFileSync('git', ['ls-files', '--', ...(paths.length === 0 ? ['.'] : paths)]);
  return listed
    .toString()
    .split('\n')
    .filter((file) => /\.(?:ts|tsx|md)$/.test(file) && !EXCLUDED.some(({ path }) => path.test(file)));
}

/** A node of the syntax tree, as far as it is read. */
type Syntax = { type?: string; start: number; value?: unknown } & Record<string, unknown>;

function isSyntax(value: unknown): value is Syntax {
  return typeof value === 'object' && value !== null;
}

/** Returns the name that a call starts with: `it` for `it.each(x)('title', …)`. */
function calledName(callee: unknown): unknown {
  if (!isSyntax(callee)) return null;
  return callee.type === 'Identifier' ? callee['name'] : calledName(callee['object'] ?? callee['callee']);
}

/** Collects the strings below a node: titles of tests, and other texts when `texts` says so. */
function collectStrings(
  node: unknown,
  texts: boolean,
  found: (place: Place, at: Syntax, text: string) => void,
): void {
  if (Array.isArray(node)) for (const child of node) collectStrings(child, texts, found);
  if (!isSyntax(node) || Array.isArray(node) || String(node.type).startsWith('TS')) {
    if (isSyntax(node) && 'expression' in node) collectStrings(node['expression'], texts, found);
    return;
  }
  const [first] = Array.isArray(node['arguments']) ? (node['arguments'] as unknown[]) : [];
  if (node.type === 'CallExpression' && /^(?:it|test)$/.test(String(calledName(node['callee'])))) {
    if (isSyntax(first) && typeof first.value === 'string') found('title', first, first.value);
  }
  const isText = node.type === 'Literal' || node.type === 'JSXText';
  const text =
    node.type === 'TemplateElement' ? (node.value as { raw: string }).raw : isText ? node.value : null;
  if (texts && typeof text === 'string' && /[a-z]+[ ,]+[a-z]+[ ,]+[a-z]+/i.test(text))
    found('text', node, text);
  for (const [key, child] of Object.entries(node))
    if (key !== 'value' || !isText) collectStrings(child, texts, found);
}

/** Returns the comments, test titles and texts of a source. Line comments that follow one another are one comment. */
function sourcePieces(file: string, source: string): Piece[] {
  const lineOf = (offset: number): number => source.slice(0, offset).split('\n').length;
  const blocks: { text: string; start: number; end: number }[] = [];
  const { comments, program } = parseSync(file, source);
  for (const { type, value, start, end } of comments) {
    if (/^[\s*]*(?:oxlint|eslint|prettier|@ts-|@vite|@__)/.test(value)) continue;
    const before = blocks.at(-1);
    const isNext = before !== undefined && /^\n[^\S\n]*$/.test(source.slice(before.end, start));
    const text = value.replaceAll(/^\s*\*+ ?/gm, '');
    if (type === 'Line' && isNext) Object.assign(before, { text: `${before.text}\n${text}`, end });
    else blocks.push({ text, start, end });
  }
  const pieces = blocks.map(({ text, start }): Piece => ({ place: 'comment', line: lineOf(start), text }));
  const isTest = /\.test\.tsx?$/.test(file) || /^(?:test|bench)\//.test(file);
  collectStrings(program, !isTest, (place, { start }, text) =>
    pieces.push({ place, line: lineOf(start), text }),
  );
  return pieces;
}

/** Returns the prose of a Markdown file by paragraph, list item and table row, without code. */
function markdownPieces(source: string): Piece[] {
  const blank = (part: string): string => part.replaceAll(/[^\n]/g, '');
  const bare = source
    .replaceAll(/^( *)(```|~~~)[\s\S]*?^\1\2/gm, blank)
    .replaceAll(/<!--[\s\S]*?-->/g, blank);
  return [...bare.matchAll(/(?<=\n|^)[^\n]+(?:\n(?!\s*(?:[-*|]|\d+\.) )[^\n]+)*/g)].map(
    ({ 0: text, index }) => {
      return { place: 'markdown', line: bare.slice(0, index).split('\n').length, text };
    },
  );
}

/** Returns the sentences of a piece: tags, list items and paragraphs begin a sentence, and code is one word. */
function sentencesOf(text: string): string[] {
  return text
    .replaceAll(/```[\s\S]*?```/g, '')
    .replaceAll(/`[^`]*`/g, 'CODE')
    .replaceAll(/@param \S+/g, '@param')
    .replaceAll(/\{@link ([^}]*)\}/g, 'CODE')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/https?:\S+/g, 'URL')
    .replaceAll(/@throws[^@]*/g, (errors) => errors.replaceAll('; ', ';\n\n'))
    .split(
      /\n\s*\n|\n\s*(?=@|[-*•|] |\d+\. )|(?<=[.!?][)"”’*_]*)\s+(?=[^a-z])|(?<=@returns|@param|@throws)\s/,
    )
    .map((sentence) => sentence.replaceAll(/\s+/g, ' ').trim())
    .filter((sentence) => sentence !== '');
}

function countWords(sentence: string): number {
  return sentence.split(' ').filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** Returns what breaks a rule in a file, without the exceptions. */
export function findTics(file: string, source: string): Finding[] {
  const findings: Finding[] = [];
  let meanwhiles = 0;
  for (const { place, line, text } of file.endsWith('.md')
    ? markdownPieces(source)
    : sourcePieces(file, source)) {
    const add = (rule: Rule, at: string): void => void findings.push({ file, line, rule, text: at });
    if (place === 'title' && TITLE_START.test(text)) add('title start', text);
    for (const sentence of sentencesOf(text)) {
      for (const [rule, pattern] of Object.entries(BANNED))
        if (pattern.test(sentence)) add(rule as Rule, sentence);
      if (place === 'comment' && countWords(sentence) > MAX_WORDS) add('long sentence', sentence);
      if (/\bmeanwhile\b/i.test(sentence) && (meanwhiles += 1) > 1) add('meanwhile', sentence);
    }
  }
  const isExcepted = (finding: Finding): boolean =>
    EXCEPTIONS.some((exception) => file.endsWith(exception.file) && finding.text.includes(exception.text));
  return findings.filter((finding) => !isExcepted(finding));
}

/** Returns the findings of all files under the paths. */
export function findAllTics(paths: readonly string[] = []): Finding[] {
  return proseFiles(paths).flatMap((file) => findTics(file, readFileSync(file, 'utf8')));
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { file, line, rule, text } of findAllTics(argv.slice(2)))
    stdout.write(`${file}:${line}  ${rule}: ${text}\n`);
}
