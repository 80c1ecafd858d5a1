import { MembridgeError } from '../../contract/errors.ts';
import { COUNTED, NO_MEMORIES, type Holding, type MemoryCounts, type Published } from './memory-counts.ts';
import { legacyKeys, manifestCounts, type ReadManifest } from './objects.ts';
import { shellWord } from './shell-word.ts';

/** Everything that indicates how many memories the stored snapshot should have. */
export interface KnownSnapshot {
  /** The stored snapshot, as far as it could be read. */
  readonly holding: Holding | null;
  readonly manifest: ReadManifest | null;
  /** This node's last publication there. */
  readonly published: Published | null;
}

interface Claim {
  readonly by: string;
  readonly counts: MemoryCounts;
}

/**
 * Throws when a publication would hold fewer memories than the replaced one in any of the three tables. Also
 * throws when it would leave out claude-mem projects of the replaced one. The original's machines replace
 * their whole database by what they pull, so only a person who has seen both numbers may shrink it.
 * @param confirmed the number of memories that a person agreed to lose; it must match exactly
 * @returns how many memories fewer a person agreed to; 0 when nothing shrinks
 * @throws MembridgeError mirror_guarded with both numbers and the way to confirm
 */
export function refuseFewer(
  space: { readonly cid: string; readonly projectId: string },
  known: KnownSnapshot,
  next: MemoryCounts,
  confirmed: number | undefined,
): number {
  const claims = claimsOf(space.cid, known);
  const before = { ...NO_MEMORIES };
  for (const { counts } of claims) {
    for (const table of COUNTED) before[table] = Math.max(before[table], counts[table]);
  }
  const outside = known.holding?.outside ?? NO_MEMORIES;
  const fewer = sum(COUNTED.map((table) => Math.max(before[table] - next[table], outside[table], 0)));
  if (fewer === 0 || fewer === confirmed) return fewer;
  const from = claims
    .filter(({ counts }) => COUNTED.some((table) => counts[table] === before[table] && counts[table] > 0))
    .map(({ by }) => by);
  throw new MembridgeError(
    'mirror_guarded',
    `Nothing was published for ${space.projectId}: ${describeCounts(before)} are in the snapshot that it would replace (${from.join('; ')}), ` +
      `and the new one would hold ${describeCounts(next)}. ${describeOutside(space, known.holding)}` +
      (confirmed === undefined ? '' : `${confirmed} was confirmed, which is not this number. `) +
      `If machines on the original's scripts are to lose ${countedMemories(fewer)}, confirm that number: membridge legacy publish --project ${shellWord(space.projectId)} --fewer ${fewer}.`,
  );
}

function claimsOf(cid: string, { holding, manifest, published }: KnownSnapshot): Claim[] {
  const keys = legacyKeys(cid);
  const claims: Claim[] = [];
  if (holding !== null) claims.push({ by: keys.database, counts: holding.counts });
  const isOfHolding = holding?.isSound === true && manifest?.sha256 === holding.sha;
  // The manifest of the snapshot that was read adds nothing. Any other describes a snapshot that nobody could
  // read.
  if (manifest !== null && !isOfHolding) claims.push({ by: keys.manifest, counts: manifestCounts(manifest) });
  // Another node's publication passed this guard: it knew what this node had published, or a person agreed.
  const isGuarded = isOfHolding && manifest?.membridge_fewer !== undefined;
  if (published !== null && !isGuarded) {
    claims.push({ by: 'what this node last published', counts: published.counts });
  }
  return claims;
}

function describeOutside({ projectId }: { readonly projectId: string }, holding: Holding | null): string {
  const count = holding === null ? 0 : sum(COUNTED.map((table) => holding.outside[table]));
  if (holding === null || count === 0) return '';
  const names = holding.projects.length === 0 ? '' : ` (${holding.projects.join(', ')})`;
  return (
    `${countedMemories(count)} there belong to claude-mem projects that the space ${projectId} does not cover${names}: ` +
    'to keep them, have the space cover these projects, or "*" for all. '
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const countedMemories = (count: number): string => plural(count, 'memory', 'memories');
const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;
const describeCounts = ({ observations, summaries, prompts }: MemoryCounts): string =>
  `${plural(observations, 'observation', 'observations')}, ${plural(summaries, 'summary', 'summaries')} and ${plural(prompts, 'prompt', 'prompts')}`;
