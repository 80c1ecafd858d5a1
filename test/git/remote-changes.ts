/** How a remote may change, and the states of its clone: the cells of the table in docs/projects.md. */
import { decideMove, type CloneFacts, type KeepReason } from '../../git/decide-move.ts';

/** A clone on the remote's default branch, which has one commit more. */
const USUAL: CloneFacts = {
  busy: null,
  branch: 'main',
  wanted: 'main',
  isNamed: false,
  exists: true,
  isFormerDefault: true,
  isRelated: true,
  ahead: 0,
  own: 0,
  behind: 1,
  changed: 0,
};

/** The facts about a clean clone after each change. */
export const CHANGES = {
  'a new commit': {},
  'default branch renamed': { wanted: 'trunk' },
  'project’s branch deleted': { isNamed: true, exists: false },
  'default branch gone': { exists: false },
  'history rewritten': { ahead: 1 },
  'repository made again': { ahead: 1, isRelated: false },
  '`feature` becomes `feature/one`': {},
  'submodule moved': {},
  'attributes changed': {},
  'tag moved': {},
} as const satisfies Record<string, Partial<CloneFacts>>;
export type Change = keyof typeof CHANGES;

/** What the state of the clone adds to these facts. */
export const STATES = {
  clean: () => ({}),
  'changed files': () => ({ changed: 1 }),
  'own commits': ({ ahead }: CloneFacts) => ({ ahead: ahead + 1, own: 1 }),
  detached: () => ({ branch: null, isFormerDefault: false }),
  'other branch': () => ({ branch: 'mine', isFormerDefault: false }),
  // Where history was cut, nobody knows what two branches have in common.
  shallow: () => ({ isRelated: true }),
  submodules: () => ({}),
} as const satisfies Record<string, (facts: CloneFacts) => Partial<CloneFacts>>;
export type State = keyof typeof STATES;

/** Returns the result for a clone in a state after a change, by decideMove. */
export function expectedMove(change: Change, state: State): ReturnType<typeof decideMove> {
  const facts: CloneFacts = { ...USUAL, ...CHANGES[change] };
  return decideMove({ ...facts, ...STATES[state](facts) });
}

const REASONS: Record<KeepReason, string> = {
  busy: 'kept: in progress',
  detached: 'kept: detached',
  'other-branch': 'kept: other branch',
  'own-commits': 'kept: own commits',
  rewritten: 'kept: rewritten',
  'made-again': 'kept: made again',
  changed: 'kept: changed files',
};

function cell(change: Change, state: State): string {
  const move = expectedMove(change, state);
  if (move.act === 'keep') return REASONS[move.reason];
  return {
    missing: '`git_not_found`',
    unchanged: 'unchanged',
    forward: 'moves forward',
    follow: 'follows',
  }[move.act];
}

/** Returns the rows of the table, as cells. */
export function tableRows(): string[][] {
  const states = Object.keys(STATES) as State[];
  const changes = Object.keys(CHANGES) as Change[];
  return [
    ['at the remote', ...states],
    ...changes.map((change) => [change, ...states.map((state) => cell(change, state))]),
  ];
}
