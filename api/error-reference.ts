import { ERRORS, type ErrorCode, type ErrorRow } from '../contract/error-table.ts';

interface Section {
  readonly title: string;
  readonly codes: readonly ErrorCode[];
}

/** The order in which people look for an error. Every code of the table is in exactly one section. */
export const SECTIONS: readonly Section[] = [
  {
    title: 'Requests',
    codes: [
      'unauthorized',
      'forbidden',
      'bad_request',
      'unprocessable',
      'not_found',
      'conflict',
      'too_large',
      'too_many_requests',
      'internal',
    ],
  },
  {
    title: 'The control plane and what it stands on',
    codes: [
      'starting',
      'protocol_unsupported',
      'database_unavailable',
      'engine_unavailable',
      'engine_busy',
      'store_unavailable',
      'store_refused',
      'control_plane_unreachable',
      'control_plane_refused',
    ],
  },
  {
    title: 'Memory',
    codes: [
      'sync_failed',
      'sync_timeout',
      'memory_missing',
      'memory_corrupt',
      'memory_index_damaged',
      'memory_unreadable',
      'memory_failed',
      'memory_schema_unknown',
      'memory_locked',
      'memory_in_use',
      'memory_guarded',
      'mirror_guarded',
      'ledger_failed',
      'segment_invalid',
      'disk_full',
      'deposed',
    ],
  },
  {
    title: 'Projects and proposals',
    codes: [
      'clone_failed',
      'clone_timeout',
      'clone_refused',
      'clone_stalled',
      'git_auth_failed',
      'git_host_unknown',
      'git_not_found',
      'git_unreachable',
      'git_busy',
      'git_failed',
      'git_missing',
      'version_conflict',
      'patch_rejected',
      'push_refused',
    ],
  },
  {
    title: 'Nodes and tasks',
    codes: [
      'node_offline',
      'node_unreachable',
      'agent_outdated',
      'call_timeout',
      'call_failed',
      'no_worker',
      'task_failed',
    ],
  },
];

const INTRODUCTION =
  'Every error of the API, the page and the command line has one of these codes. The message of an error names the thing and the ' +
  'reason; this page says what the code means and what to do next. The program of a task has further codes, which docs/tasks.md lists.';

const FIELDS =
  'Answers are problem+json (RFC 9457). Programs should compare `code`. `type` is the address of the explanation on the control ' +
  'plane, and always ends in `#` and the code.';

/** Returns the text of docs/errors.md. */
export function errorsMarkdown(): string {
  const sections = SECTIONS.map(({ title, codes }) => [`## ${title}`, ...codes.map(markdownOf)].join('\n\n'));
  return `${['# Errors', INTRODUCTION, FIELDS, 'This page is made by `node api/write-errors.ts`.', ...sections].join('\n\n')}\n`;
}

function markdownOf(code: ErrorCode): string {
  const { title, cause, help, ...row }: ErrorRow = ERRORS[code];
  const lines = [`**${title}.** ${factsOf(row)}`, ...(cause === undefined ? [] : [`Cause: ${cause}`])];
  return [`### ${code}`, ...lines, `What to do: ${help}`].join('\n\n');
}

/** Returns the same as a page of HTML. @param basePath the path below which browsers find everything, or '' */
export function errorsPage(basePath: string): string {
  const sections = SECTIONS.map(
    ({ title, codes }) => `<h2>${html(title)}</h2>\n${codes.map(htmlOf).join('')}`,
  );
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Membridge errors</title>
    <link rel="icon" href="data:," />
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
      h3 { margin: 2rem 0 0; }
      h3:target { outline: 2px solid currentColor; outline-offset: 4px; }
      p { margin: 0.25rem 0; }
    </style>
  </head>
  <body>
    <main>
      <h1>Errors</h1>
      <p>${html(INTRODUCTION)}</p>
      <p>${html(FIELDS)} See also <a href="${basePath}/docs">the API</a>.</p>
${sections.join('\n')}
    </main>
  </body>
</html>
`;
}

function htmlOf(code: ErrorCode): string {
  const { title, cause, help, ...row }: ErrorRow = ERRORS[code];
  const why = cause === undefined ? '' : `<p>Cause: ${html(cause)}</p>\n`;
  return `<h3 id="${code}"><code>${code}</code></h3>
<p><strong>${html(title)}.</strong> ${factsOf(row)}</p>
${why}<p>What to do: ${html(help)}</p>
`;
}

function factsOf({ status, retryable }: Pick<ErrorRow, 'status' | 'retryable'>): string {
  const again = retryable
    ? 'The same call may succeed later.'
    : 'The same call fails again until something changes.';
  return `HTTP ${status}. ${again}`;
}

/** Returns text of the table as HTML: its only markup is code between backticks. */
function html(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return escaped.replaceAll(/`([^`]*)`/g, '<code>$1</code>');
}
