import { z } from 'zod';

/** The most bytes of UTF-8 in a worker's output that is a proposal. */
export const PROPOSAL_BYTES = 1_048_576;

/** The change that a worker proposes. */
export interface ProposalContent {
  /** One line; null when the worker gave none. */
  readonly title: string | null;
  /** `patch`: a unified diff; `file`: the whole new text of one file. */
  readonly kind: 'patch' | 'file';
  readonly content: string;
  /** The path of a file in the repository, with `/`. */
  readonly path: string | null;
  /** The commit that the branch must be at. */
  readonly expectedVersion: string | null;
}

export type ReadProposal =
  | { readonly ok: true; readonly proposal: ProposalContent }
  | { readonly ok: false; readonly problem: string };

const EXPECTED_FORM =
  'A proposal is JSON {"kind":"patch","patch":"…"} or {"kind":"file","path":"…","content":"…"} (title and expected_version may be added), ' +
  'a unified diff that starts with "diff --git" or "--- ", or a Markdown block ```diff with one in it.';

const Common = {
  title: z.string().max(1_000).nullish(),
  expected_version: z
    .string()
    .regex(/^[0-9a-fA-F]{7,64}$/, 'must be a commit: 7 to 64 hex digits')
    .nullish(),
};

const Json = z.discriminatedUnion('kind', [
  z.object({ ...Common, kind: z.literal('patch'), patch: z.string().min(1) }),
  z.object({ ...Common, kind: z.literal('file'), path: z.string().min(1), content: z.string() }),
]);

/**
 * Reads a worker's output as a proposal. The function is pure: the same output always is the same proposal, so only
 * the output is stored.
 * @param text the whole output
 * @returns the proposal, or a sentence that says what is wrong and what is expected
 */
export function readProposal(text: string): ReadProposal {
  if (new TextEncoder().encode(text).length > PROPOSAL_BYTES)
    return problem(
      `The output is larger than ${PROPOSAL_BYTES / 1_048_576} MiB, the most a proposal may be.`,
    );
  const trimmed = text.trim();
  if (trimmed === '') return problem(`The output is empty. ${EXPECTED_FORM}`);
  if (trimmed.startsWith('{')) return readJson(trimmed);
  if (isDiff(trimmed)) return patch(text, null, null);
  const blocks = fencedBlocks(trimmed);
  const diffs = blocks.filter(({ language }) => language === 'diff' || language === 'patch');
  if (diffs.length > 1) {
    return problem(`The output has ${diffs.length} blocks of diff; one is expected, with all files in it.`);
  }
  const [diff] = diffs;
  if (diff !== undefined) {
    return isDiff(diff.text.trimStart())
      ? patch(diff.text, null, null)
      : problem(
          `The diff block is not a unified diff: it has no file header ("diff --git" or "--- "). ${EXPECTED_FORM}`,
        );
  }
  const json = blocks.filter(
    ({ language, text: inside }) => language === 'json' && inside.trim().startsWith('{'),
  );
  if (json.length === 1 && json[0] !== undefined) return readJson(json[0].text.trim());
  return problem(`The output is not a proposal. ${EXPECTED_FORM}`);
}

function readJson(text: string): ReadProposal {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return problem(`The output starts like JSON but is not valid JSON. ${EXPECTED_FORM}`);
  }
  const parsed = Json.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map(String).join('.') ?? '';
    return problem(
      `The JSON is not a proposal: ${where === '' ? '' : `${where}: `}${issue?.message ?? ''}. ${EXPECTED_FORM}`,
    );
  }
  const { data } = parsed;
  const title = titleOf(data.title ?? null);
  const version = data.expected_version?.toLowerCase() ?? null;
  if (data.kind === 'patch') {
    return isDiff(data.patch.trimStart())
      ? patch(data.patch, title, version)
      : problem(`"patch" is not a unified diff: it must start with "diff --git" or "--- ". ${EXPECTED_FORM}`);
  }
  const wrong = pathProblem(data.path);
  if (wrong !== null) return problem(`"path" ${wrong}.`);
  const { path, content } = data;
  return { ok: true, proposal: { title, kind: 'file', content, path, expectedVersion: version } };
}

function patch(text: string, title: string | null, expectedVersion: string | null): ReadProposal {
  if (text.includes('\0')) return problem('The patch contains a NUL character.');
  if (
    !/^(?:@@ |GIT binary patch|rename (?:from|to) |(?:deleted|new) file mode |(?:old|new) mode )/m.test(text)
  ) {
    return problem('The patch changes nothing: it has no hunk ("@@ … @@").');
  }
  // git takes a last line without its end for a truncated patch. Nothing else is trimmed: a last line may be an empty
  // context line.
  const content = text.replace(/^\s+/, '').replace(/\n?$/, '\n');
  return { ok: true, proposal: { title, kind: 'patch', content, path: null, expectedVersion } };
}

const isDiff = (text: string): boolean =>
  /^(?:diff --git |--- )/.test(text) && /^\+\+\+ |^diff --git /m.test(text);

/** Returns why a path does not lie inside a repository, as the end of a sentence; null when it does. */
export function pathProblem(path: string): string | null {
  const parts = path.split('/');
  if (path.length > 1_024) return 'is longer than 1,024 characters';
  if (/[\p{Cc}\\:]/u.test(path)) return 'has a control character, "\\" or ":" in it';
  if (path.startsWith('/')) return 'must be inside the repository, without "/" in front';
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    return 'must not have empty parts, "." or ".."';
  // As macOS and Windows would read the name, too.
  if (parts.some((part) => /^(?:\.git|git~\d)[ .]*$/i.test(part.replaceAll(/\p{Cf}/gu, '')))) {
    return 'must not lie in .git';
  }
  if (/^\.gitmodules[ .]*$/i.test(path)) return 'must not be .gitmodules: submodules are not proposed';
  return null;
}

/**
 * Returns the blocks between lines of three or more back-ticks (or tildes), each with the first word after the
 * opening ones. The closing line has the same indentation as the opening one, because inside a diff a context line
 * may be a fence, too.
 */
function fencedBlocks(text: string): { language: string; text: string }[] {
  const blocks: { language: string; text: string }[] = [];
  let open: { indent: string; fence: string; language: string; lines: string[] } | null = null;
  for (const line of text.split('\n')) {
    const [, indent = '', fence = '', language = ''] = /^( {0,3})(`{3,}|~{3,})\s*(\S*)/.exec(line) ?? [];
    if (open === null) {
      if (fence !== '') open = { indent, fence, language: language.toLowerCase(), lines: [] };
    } else if (fence.startsWith(open.fence) && language === '' && indent === open.indent) {
      blocks.push({ language: open.language, text: open.lines.join('\n') });
      open = null;
    } else {
      open.lines.push(line);
    }
  }
  return blocks;
}

function titleOf(given: string | null): string | null {
  const line = (given ?? '').replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  return line === '' ? null : line.slice(0, 200);
}

const problem = (text: string): ReadProposal => ({ ok: false, problem: text });
