import { createHash } from 'node:crypto';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import { verifyFetched } from '../pull/fetch.ts';
import { snapshotPartKey } from '../format/layout.ts';
import { FIRST_PREV_SHA, readLines } from '../format/segment.ts';
import type { SyncSession } from '../session.ts';
import { partName, type Manifest } from './manifest.ts';

/**
 * Fetches one part of a snapshot and checks that the manifest names it and the same node signed it.
 * @throws Error saying what is wrong with it; MembridgeError store_* when it cannot be fetched
 */
export async function fetchPart(
  session: SyncSession,
  cid: string,
  manifest: Manifest,
  index: number,
): Promise<Buffer> {
  const part = manifest.parts[index];
  const bytes = await session.store.get(snapshotPartKey(cid, manifest.name, index + 1));
  if (part === undefined || bytes === null) throw new Error(`part ${index + 1} is not there`);
  if (createHash('sha256').update(bytes).digest('hex') !== part.sha256) {
    throw new Error(`part ${index + 1} is not the one that the manifest names`);
  }
  const before = await verifyFetched(session, cid, partName(manifest, index), bytes, manifest.stored);
  if (before !== (manifest.parts[index - 1]?.sha256 ?? FIRST_PREV_SHA)) {
    throw new Error(`part ${index + 1} does not follow the one before it`);
  }
  return bytes;
}

/**
 * Reads a whole snapshot.
 * @param hear receives the lines of each part
 * @returns what is wrong with it, null when every byte matches the signature
 * @throws MembridgeError store_unavailable or store_refused
 */
export async function verifySnapshot(
  session: SyncSession,
  cid: string,
  manifest: Manifest,
  hear: (lines: readonly string[]) => void = () => undefined,
): Promise<string | null> {
  const all = createHash('sha256');
  try {
    for (const [index, part] of manifest.parts.entries()) {
      session.signal.throwIfAborted();
      const bytes = await fetchPart(session, cid, manifest, index);
      const { lines } = readLines(bytes, session.identity.sealingKeys);
      if (lines.length !== part.operations) return `part ${index + 1} holds another number of operations`;
      for (const line of lines) all.update(line).update('\n');
      hear(lines);
    }
  } catch (error) {
    if (isOfTheStore(error)) throw error;
    return errorMessage(error);
  }
  return all.digest('hex') === manifest.operations_sha256 ? null : 'its operations are not the ones signed';
}

/** Returns whether an error means that something could not be fetched, as opposed to invalid. */
export const isOfTheStore = (error: unknown): boolean =>
  error instanceof MembridgeError || (error instanceof Error && error.name === 'AbortError');
