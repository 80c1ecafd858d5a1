import type { SpaceConfig } from '../../contract/memory/memory.ts';

/** Projects of the simulated fleet, by their names in the space: worktrees and decomposed letters among them. */
export const PROJECTS = [
  'garden',
  'billing',
  'website',
  'garden/wt',
  'website/wt',
  're\u0301sume\u0301',
] as const;

/** Projects that every space excludes. */
export const EXCLUDED = ['client-x', 'caf\u00e9'];

/** Projects that must not leave their machine: excluded ones, their worktrees and their look-alikes. */
export const STAYING = [
  'observer-sessions',
  'client-x',
  'client-x/feature-7',
  'Client-X',
  'client\u2011x/wt',
  'cafe\u0301',
] as const;

/** A project whose rows are adopted into an excluded one as they are written. */
export const ADOPTED = 'copy-of-client';
export const ADOPTED_INTO = 'client-x';

/** One machine's own name of a project, which its worktrees follow. */
export const NAMES: NonNullable<SpaceConfig['names']> = { 'web-laptop': 'website' };

/** Returns whether rows of a project stay on their machine. Plain comparisons, which share nothing with the judged code. */
export function isStaying(project: string): boolean {
  return project === ADOPTED || (STAYING as readonly string[]).includes(project);
}

/** Returns a project by the name that a machine has for it. */
export function localName(project: string, hasNames: boolean): string {
  return hasNames ? project.replace(/^website(?=\/|$)/, 'web-laptop') : project;
}

/** Returns a project by its name in the space. */
export function spaceName(project: string): string {
  return project.replace(/^web-laptop(?=\/|$)/, 'website');
}
