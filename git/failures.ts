import { MembridgeError, type ErrorCode } from '../contract/errors.ts';
import { parseGitUrl } from '../contract/projects/git-url.ts';
import type { NodeCredential } from '../contract/projects/projects.ts';
import { isLocked } from './locks.ts';
import { isProgress } from './progress.ts';
import { withoutUserinfo } from './redact.ts';

/** git's task at the time, for the error message. */
export interface Attempt {
  readonly repoUrl: string;
  readonly branch: string | null;
  readonly credential: NodeCredential['credential'];
}

/** Messages of git, curl and ssh (in English: LC_ALL=C), and their error codes. The first match is taken. */
const CODE_BY_MESSAGE: readonly (readonly [ErrorCode, RegExp])[] = [
  ['disk_full', /no space left on device|ENOSPC|disk quota exceeded/i],
  [
    'git_missing',
    /smudge filter lfs failed|git-lfs[^\n]*not found|cannot run ssh|ssh: (?:command )?not found|'remote-https?' is not a git command/i,
  ],
  ['git_host_unknown', /host key verification failed|remote host identification has changed/i],
  [
    'git_auth_failed',
    /permission denied \(|permission denied, please|authentication failed|could not read (?:username|password)|terminal prompts disabled|http basic: access denied|returned error: 40[13]\b|invalid username or|too many authentication failures|error in libcrypto|invalid format\b/i,
  ],
  [
    'git_not_found',
    /repository not found|repository '[^']*' not found|returned error: 404\b|does not appear to be a git repository|remote branch .* not found|couldn't find remote ref|could not be found or you don't have permission|not valid: is this a git repository/i,
  ],
  [
    'git_unreachable',
    /could not resolve|name or service not known|name resolution|connection refused|timed out|no route to host|network is unreachable|failed to connect|couldn't connect|\bssl\b|\btls\b|gnutls|certificate|connection reset|connection closed|connection was closed|early eof|rpc failed|unexpected disconnect|hung up|empty reply|transfer closed|could not determine hash algorithm|invalid index-pack|expected flush|fetch-pack: unexpected|returned error: (?:5\d\d|429)\b|kex_exchange/i,
  ],
];

/** Returns the error code for git's stderr. */
export function codeOf(stderr: string): ErrorCode {
  if (isLocked(stderr)) return 'git_busy';
  return CODE_BY_MESSAGE.find(([, pattern]) => pattern.test(stderr))?.[0] ?? 'git_failed';
}

/**
 * Converts git's failure to an error with a sentence that says what to do.
 * @param stderr with every secret removed
 */
export function gitFailure(stderr: string, attempt: Attempt): MembridgeError {
  const code = codeOf(stderr);
  return new MembridgeError(code, sentence(code, stderr, attempt));
}

function sentence(code: ErrorCode, stderr: string, attempt: Attempt): string {
  const address = withoutUserinfo(attempt.repoUrl);
  const said = `git said: ${findTellingLine(stderr, code)}`;
  switch (code) {
    case 'disk_full':
      return `The disk of this node is full; nothing of ${address} was kept. Make room and try again.`;
    case 'git_missing':
      if (/lfs/i.test(stderr))
        return `${address} keeps files in Git LFS, and git-lfs is not installed on this node. Install it (and run "git lfs install" for the agent's user), or take the filter out of the user's git settings. ${said}`;
      return `git on this node lacks what ${address} needs (ssh, or its part for http). Install it on the node. ${said}`;
    case 'git_host_unknown':
      return hostKeySentence(stderr, attempt.repoUrl);
    case 'git_auth_failed':
      return `The server refused access to ${address}. ${accessHint(attempt)} ${said}`;
    case 'git_not_found':
      return notFoundSentence(stderr, attempt, said);
    case 'git_busy':
      return `Another git (an editor, say) works in the clone of ${address} on this node. Nothing was changed; try again. If no git runs there, remove the lock file that git names. ${said}`;
    case 'git_unreachable':
      return `The server of ${address} cannot be reached, or the connection broke off. ${said}`;
    default:
      return `git failed for ${address}. ${said}`;
  }
}

function hostKeySentence(stderr: string, repoUrl: string): string {
  const { host, port } = parseGitUrl(repoUrl);
  const scan = `ssh-keyscan ${port === null ? '' : `-p ${port} `}${host}`;
  const changed = /identification has changed/i.test(stderr);
  return (
    (changed
      ? `The host key of ${host} has changed: the server was reinstalled, or another machine intercepts the connection. `
      : `The host key of ${host} is not known on this node. `) +
    `Compare what "${scan}" prints with what the server's owner publishes, and set it as the project's known_hosts.`
  );
}

function accessHint({ repoUrl, credential }: Attempt): string {
  const ssh = parseGitUrl(repoUrl).protocol === 'ssh';
  if (credential === null) {
    return `The project has no credential, and this node's user has no working access: set ${ssh ? 'an ssh key' : 'a token'} for the project.`;
  }
  if (ssh !== (credential.kind === 'ssh-key')) {
    return `The project's credential is ${ssh ? 'a token, but an address by ssh needs an ssh key' : 'an ssh key, but an address by http needs a token'}.`;
  }
  return ssh
    ? "Check that the project's ssh key is one that the server knows and has no passphrase."
    : "Check the project's token: that it has not expired and may read this repository.";
}

function notFoundSentence(stderr: string, { repoUrl, branch }: Attempt, said: string): string {
  const address = withoutUserinfo(repoUrl);
  if (/remote branch|remote ref/i.test(stderr)) {
    return `There is no branch ${branch ?? ''} in ${address}. Correct the project's branch. ${said}`;
  }
  return (
    `There is no repository at ${address}, or this credential has no access: servers such as GitHub answer "not found" in both cases. ` +
    `Check the address and the project's credential. ${said}`
  );
}

/** Lines that git adds to any message of ssh. */
const EMPTY_WORDS =
  /could not read from remote repository|please make sure you have the correct access rights|and the repository exists|^cloning into /i;

/**
 * Returns the most informative line of stderr: the one that determined the code, else git's last `fatal:` or
 * `error:`, else the last.
 */
export function findTellingLine(stderr: string, code: ErrorCode = 'git_failed'): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !isProgress(line));
  const telling = lines.filter((each) => !EMPTY_WORDS.test(each));
  const pattern = CODE_BY_MESSAGE.find(([each]) => each === code)?.[1];
  const line =
    (pattern && lines.findLast((each) => pattern.test(each))) ??
    telling.findLast((each) => /^(?:fatal|error):/.test(each)) ??
    telling.at(-1) ??
    lines.at(-1) ??
    'nothing';
  return line.slice(0, 500);
}
