import { createHash } from 'node:crypto';

/**
 * Returns the canonical id of a project: the first 16 hex digits of SHA-256 of its id in UTF-8, as the original
 * computes it.
 * @param projectId the project's id (its name), as a person writes it
 */
export function canonicalId(projectId: string): string {
  return createHash('sha256').update(projectId, 'utf8').digest('hex').slice(0, 16);
}
