import type {
  Job,
  JobStatus,
  MemoryStatus,
  SpaceNode,
  SpaceNodeSettings,
  Trust,
} from '../../../contract/memory/memory.ts';

export type Tone = 'good' | 'busy' | 'bad' | 'warn' | 'quiet';

export interface Words {
  readonly label: string;
  readonly tone: Tone;
}

/**
 * Makes a table that also has words for unknown states: a newer server may have states that this page does not know.
 * @param unknown makes the entry of such a state
 */
function withUnknown<Table extends object>(
  table: Table,
  unknown: (state: string) => Table[keyof Table],
): Table {
  return new Proxy(table, {
    get: (target, key) =>
      typeof key === 'symbol' || Object.hasOwn(target, key)
        ? (Reflect.get(target, key) as unknown)
        : unknown(key),
  });
}

/** Words with colors for the states of something; an unknown state is shown as it is. */
export function withUnknownStates<State extends string>(table: Record<State, Words>): Record<State, Words> {
  return withUnknown(table, (label) => ({ label, tone: 'quiet' }));
}

/** The same for words without a color. */
export function withUnknownWords<Word extends string>(table: Record<Word, string>): Record<Word, string> {
  return withUnknown(table, (word) => word as (typeof table)[Word]);
}

/** Why a sync was requested, in words. */
export const TRIGGERS: Record<Job['trigger'], string> = withUnknownWords({
  button: 'by hand',
  api: 'by an API call',
  cli: 'from the command line',
  schedule: 'by its schedule',
  noticed: 'new memory noticed',
  'fan-out': 'another node pushed',
  'catch-up': 'catching up',
  returned: 'node returned',
});

export const ACTIONS: Record<Job['action'], string> = withUnknownWords({
  push: 'Push',
  pull: 'Pull',
  sync: 'Sync',
});

export const JOB_STATUSES: Record<JobStatus, Words> = withUnknownStates({
  pending: { label: 'Waiting', tone: 'warn' },
  running: { label: 'Running', tone: 'busy' },
  completed: { label: 'Done', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
});

export const SPACE_NODE_STATUSES: Record<SpaceNode['status'], Words> = withUnknownStates({
  new: { label: 'New', tone: 'quiet' },
  syncing: { label: 'Syncing', tone: 'busy' },
  'in-step': { label: 'In step', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  held: { label: 'Held back', tone: 'warn' },
  stale: { label: 'Out of date', tone: 'warn' },
});

export const MEMORY_STATES: Record<MemoryStatus['state'], Words> = withUnknownStates({
  ready: { label: 'Ready', tone: 'good' },
  starting: { label: 'Starting', tone: 'busy' },
  missing: { label: 'No claude-mem database', tone: 'quiet' },
  locked: { label: 'Locked', tone: 'warn' },
  corrupt: { label: 'Damaged', tone: 'bad' },
  'unknown-schema': { label: 'Unknown schema', tone: 'bad' },
  unreadable: { label: 'Unreadable', tone: 'bad' },
  'index-damaged': { label: 'Search index damaged', tone: 'bad' },
  held: { label: 'Held back', tone: 'warn' },
  failing: { label: 'Sync fails', tone: 'bad' },
  stale: { label: 'Out of date', tone: 'warn' },
});

/** What a node does with another node's memories. */
export const TRUST: Record<Trust, string> = withUnknownWords({
  accept: 'Accept',
  hold: 'Hold',
  ignore: 'Ignore',
});

/** Summarizes a node's own settings in a space; empty when it has none. */
export function describeDifferences({ names, trust }: SpaceNodeSettings): string {
  const of = (level: Trust): string[] =>
    Object.entries(trust).flatMap(([node, each]) => (each === level ? [node] : []));
  const renamed = Object.keys(names).length;
  return [
    ...(of('hold').length === 0 ? [] : [`holds ${of('hold').join(', ')}`]),
    ...(of('ignore').length === 0 ? [] : [`ignores ${of('ignore').join(', ')}`]),
    ...(renamed === 0 ? [] : [renamed === 1 ? '1 project name' : `${renamed} project names`]),
  ].join(' · ');
}

/** Returns the projects that a space covers, in words. */
export function describeCoverage(projects: readonly string[]): string {
  return projects.includes('*') ? 'Every project' : projects.join(', ');
}
