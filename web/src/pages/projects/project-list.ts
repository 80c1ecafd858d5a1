import type { ProjectFacts } from '../../../../contract/projects/projects.ts';
import { compareNames } from '../../format/order.ts';

/** Returns every tag of the projects, once, by name. */
export function listTags(projects: readonly ProjectFacts[]): string[] {
  return [...new Set(projects.flatMap(({ tags }) => tags))].sort(compareNames);
}

/**
 * Returns the matching projects, by name.
 * @param typed words that each occur in the name, the address, the ids or the tags
 * @param tag a tag that they have; undefined: all
 */
export function findProjects<Project extends ProjectFacts>(
  projects: readonly Project[],
  { typed, tag }: { typed: string; tag: string | undefined },
): Project[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = projects.filter((project) => {
    if (tag !== undefined && !project.tags.includes(tag)) return false;
    const { name, repo_url, canonical_id, id, tags } = project;
    const known = [name, repo_url, canonical_id, id, ...tags].join(' ').toLowerCase();
    return words.every((word) => known.includes(word));
  });
  return found.sort((a, b) => compareNames(a.name, b.name));
}

/** Returns a repository's address for a list, without the parts that most addresses share. */
export function shortAddress(url: string): string {
  return url.replace(/^[a-z]+:\/\/(?:[^/@]+@)?/, '').replace(/\.git$/, '');
}
